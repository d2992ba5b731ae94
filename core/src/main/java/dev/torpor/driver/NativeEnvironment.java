package dev.torpor.driver;

/**
 * The environment of this process as C code finds it, which Java itself cannot change. Java has a copy, which stays as it was: it is what
 * {@link System#getenv} reads and {@link ProcessBuilder#environment} begins with. A program started by a builder that was never asked for
 * its environment inherits that of C code.
 */
public final class NativeEnvironment {
    private static final String LIBC = "libc.so.6";

    private NativeEnvironment() {}

    /** Has Java make its copy now, which it otherwise does when a program first asks for a variable. */
    public static void copyForJava() {
        String unused = System.getenv("PATH");
    }

    /**
     * Sets a variable (setenv(3)), which is not safe while another thread of C code sets one.
     *
     * @throws UnsatisfiedLinkError if the provider cannot call the C library
     * @throws IllegalStateException if there is no memory left for it
     */
    public static void set(DriverProvider provider, String name, String value) {
        copyForJava();
        LoadedLibrary library = provider.open(LIBC);
        NativeFunction setenv = library.find("setenv");
        if (setenv == null) {
            throw new UnsatisfiedLinkError(LIBC + " has no function setenv");
        }
        Scratch words = Scratch.text(library, 0, name + '\0' + value);
        int result = words.used(setenv.call(words.at(0), words.at(name.length() + 1), 1));
        if (result != 0) {
            throw new IllegalStateException("setenv(" + name + ") failed");
        }
    }
}
