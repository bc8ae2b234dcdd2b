import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;

/** How far the peer is and what it has spent: lines of JSON, as `tests/src/peers/meter.rs` reads them. */
final class Meter {
    static final LongAdder EVENTS = new LongAdder(), FIRED = new LongAdder();
    static volatile boolean isRestoring, isReady;
    private static final long BEGUN = System.nanoTime(), PERIOD_MS = 50;

    private Meter() {}

    static void start() {
        Thread thread = new Thread(() -> {
            try {
                for (; ; Thread.sleep(PERIOD_MS)) say(false);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }, "meter");
        thread.setDaemon(true);
        thread.start();
    }

    static synchronized void say(boolean hasEnded) {
        System.out.println(String.format(Locale.ROOT,
            "{\"wall_seconds\":%.3f,\"cpu_seconds\":%.2f,\"events\":%d,\"fired\":%d,\"restoring\":%b,\"ready\":%b,\"ended\":%b}",
            (System.nanoTime() - BEGUN) / 1e9, cpuSeconds(), EVENTS.sum(), FIRED.sum(), isRestoring, isReady, hasEnded));
    }

    /** All threads of this process; the unit is a hundredth of a second on Linux. */
    private static double cpuSeconds() {
        try {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] numbers = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return (Long.parseLong(numbers[11]) + Long.parseLong(numbers[12])) / 100.0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
