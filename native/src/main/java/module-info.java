/** The native libraries of Torpor, as files. */
module dev.torpor.natives {
    requires static transitive org.jspecify;

    exports dev.torpor.natives;
}
