package dev.torpor.contract;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** A call of any method of the driver with arguments that every method takes, and a look at what it left in them. */
record AnyCall(Method method, Object[] arguments) {
    /** Each method of the interface that stands for a C function. */
    static Stream<AnyCall> of(Class<?> library) {
        return Arrays.stream(library.getMethods())
                .sorted(Comparator.comparing(Method::getName))
                .map(method -> new AnyCall(method, arguments(method)));
    }

    private static Object[] arguments(Method method) {
        return Arrays.stream(method.getParameterTypes()).map(AnyCall::argument).toArray();
    }

    private static Object argument(Class<?> type) {
        return switch (type.getSimpleName()) {
            case "int" -> 3;
            case "long" -> 5L;
            case "byte" -> (byte) 7;
            case "String" -> "nothing";
            case "ByteBuffer" -> ByteBuffer.allocateDirect(8);
            case "byte[]" -> new byte[32];
            case "int[]" -> new int[] {3, 3, 3};
            case "long[]" -> new long[] {3, 3, 3};
            case "String[]" -> new String[] {"untouched"};
            default -> throw new AssertionError("no argument of type " + type);
        };
    }

    Object on(Object library) {
        try {
            return method.invoke(library, arguments);
        } catch (InvocationTargetException e) {
            throw new AssertionError(method + " threw", e.getCause());
        } catch (IllegalAccessException e) {
            throw new AssertionError(e);
        }
    }

    List<Object> untouched() {
        return Arrays.asList(arguments(method));
    }

    String name() {
        return method.getName();
    }

    @Override
    public String toString() {
        return name();
    }
}
