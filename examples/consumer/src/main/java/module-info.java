/** A service that suspends a process. The binding is found among the modules, since {@code dev.torpor} uses it as a service. */
module com.example.service {
    requires dev.torpor;
}
