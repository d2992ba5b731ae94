package dev.torpor.examples.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Whole numbers on the command line, where picocli would name Java's types. */
final class Numbers {
    private static final int MOST_DIGITS = 9;

    private Numbers() {}

    private static int parse(String text, String what) {
        if (!text.matches("\\d{1," + MOST_DIGITS + "}")) {
            throw new TypeConversionException("'" + text + "' is not " + what);
        }
        return Integer.parseInt(text);
    }

    /** A process id. */
    static final class Pid implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            return (long) parse(text, "a process id: write a number like 4711");
        }
    }

    /** Any other number. */
    static final class Count implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            return parse(text, "a whole number from 0 on");
        }
    }
}
