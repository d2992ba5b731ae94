package dev.torpor.examples.cli;

import java.lang.reflect.Proxy;

/**
 * Handlers of signals, through {@code sun.misc.Signal}: by reflection, since javac warns of that class and has no way to say that it is
 * meant.
 */
final class Signals {
    private Signals() {}

    /**
     * Runs an action, on a thread of its own, each time a signal arrives. One that this process was started to ignore, as SIGHUP under
     * nohup, stays ignored. On a Java without that class the signal keeps its default action.
     *
     * @param name without SIG
     */
    static void handle(String name, Runnable action) {
        try {
            Class<?> type = Class.forName("sun.misc.Signal");
            Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
            Object handler = Proxy.newProxyInstance(
                    Signals.class.getClassLoader(), new Class<?>[] {handlerType}, (proxy, method, arguments) -> {
                        if (method.getName().equals("handle")) {
                            action.run();
                        }
                        return null;
                    });
            type.getMethod("handle", type, handlerType)
                    .invoke(null, type.getConstructor(String.class).newInstance(name), handler);
        } catch (ReflectiveOperationException e) {
            return; // it keeps its default action
        }
    }
}
