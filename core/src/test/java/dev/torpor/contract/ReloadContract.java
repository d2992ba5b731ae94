package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An application server drops an application by dropping its class loader. Threads that the application used live on. */
@Timeout(240)
public abstract class ReloadContract {
    /** The name of the provider under test. */
    protected abstract String provider();

    /** Classes, one of each folder or archive that the application brings along. */
    protected abstract List<Class<?>> brought();

    /** Prefix of the classes that it has from the server. */
    protected abstract String shared();

    /** Runs in the loader of the application. */
    public static final class Application implements Runnable {
        @Override
        public void run() {
            CudaOptions options = CudaOptions.defaults()
                    .provider(System.getProperty("torpor.test.reload"))
                    .library(Machine.libcuda())
                    .nvml(Machine.libnvml());
            try (Cuda cuda = Cuda.open(options)) {
                cuda.warmUp(0);
                assertTrue(cuda.freeBytes(cuda.devices().get(0).uuid()).isPresent());
                cuda.processes();
                try (Target target = Target.start("--memory", "16M")) {
                    cuda.process(target.pid()).suspend();
                    cuda.process(target.pid()).resume();
                    assertTrue(target.ask("check").equals("OK words=" + target.bytes() / 8));
                }
            }
        }

        private static void assertTrue(boolean holds) {
            if (!holds) {
                throw new AssertionError();
            }
        }
    }

    /** Sees nothing of the tests' class path but what the server shares. */
    private final class Server extends ClassLoader {
        Server() {
            super(ClassLoader.getPlatformClassLoader());
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            boolean ofTests = name.startsWith("org."); // AssertJ and JUnit
            if (ofTests || (!shared().isEmpty() && name.startsWith(shared()))) {
                return ReloadContract.class.getClassLoader().loadClass(name);
            }
            throw new ClassNotFoundException(name);
        }
    }

    private WeakReference<ClassLoader> used() throws Exception {
        List<URL> archives = new ArrayList<>();
        archives.add(archive(Cuda.class));
        archives.add(archive(Application.class));
        brought().forEach(type -> archives.add(archive(type)));
        System.setProperty("torpor.test.reload", provider());
        try (URLClassLoader loader = new URLClassLoader(archives.toArray(new URL[0]), new Server())) {
            Class<?> application = loader.loadClass(Application.class.getName());
            assertThat(application).isNotSameAs(Application.class);
            ((Runnable) application.getDeclaredConstructor().newInstance()).run();
            return new WeakReference<>(loader);
        }
    }

    private static URL archive(Class<?> type) {
        return type.getProtectionDomain().getCodeSource().getLocation();
    }

    @Test
    void theClassLoaderOfADroppedApplicationIsCollected() throws Exception {
        WeakReference<ClassLoader> dropped = used();
        await().atMost(Duration.ofSeconds(150)).untilAsserted(() -> {
            System.gc();
            assertThat(dropped.get()).isNull();
        });
    }
}
