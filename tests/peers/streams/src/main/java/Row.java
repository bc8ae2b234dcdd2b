import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** What is known of a customer. One object is used for all of them, so that nothing is allocated but the packed bytes. */
final class Row {
    private static final int MEMORY = 8;
    private static final byte[] BLANK = "profile:................................".getBytes(StandardCharsets.US_ASCII);

    final byte[] profile = new byte[BLANK.length];
    /** When the index of deadlines has an entry of this customer; 0 for none. */
    long indexedAt;
    /** How many events there were; beyond eight it goes round from eight to fifteen, so that its low bits are the next place. */
    private int seen;
    private final long[] ids = new long[MEMORY];

    boolean isActive;
    long enteredAt;
    int step;
    /** 0 for none. */
    long deadline;
    long sendHigh, sendLow;
    /** Rank of the best status of this step. */
    int best;
    long amount;
    int items;

    private final ByteBuffer packed = ByteBuffer.allocate(160);

    /** Of a customer of whom nothing is known yet. */
    Row begin(byte[] customer) {
        System.arraycopy(BLANK, 0, profile, 0, BLANK.length);
        System.arraycopy(customer, 0, profile, 8, Math.min(customer.length, BLANK.length - 8));
        indexedAt = 0;
        seen = 0;
        leave();
        return this;
    }

    void leave() {
        isActive = false;
        enteredAt = deadline = sendHigh = sendLow = amount = 0;
        step = best = items = 0;
    }

    boolean knows(long id) {
        for (int i = 0; i < Math.min(seen, MEMORY); i++) if (ids[i] == id) return true;
        return false;
    }

    void remember(long id) {
        ids[seen % MEMORY] = id;
        seen = seen == 2 * MEMORY - 1 ? MEMORY : seen + 1;
    }

    Row unpack(byte[] bytes) {
        ByteBuffer from = ByteBuffer.wrap(bytes);
        byte head = from.get();
        seen = head & 0x7f;
        from.get(profile);
        indexedAt = from.getLong();
        for (int i = 0; i < Math.min(seen, MEMORY); i++) ids[i] = from.getLong();
        leave();
        isActive = head < 0;
        if (isActive) {
            enteredAt = from.getLong();
            step = from.get();
            deadline = from.getLong();
            sendHigh = from.getLong();
            sendLow = from.getLong();
            best = from.get();
            amount = from.getLong();
            items = from.get();
        }
        return this;
    }

    byte[] pack() {
        packed.clear().put((byte) (seen | (isActive ? 0x80 : 0))).put(profile).putLong(indexedAt);
        for (int i = 0; i < Math.min(seen, MEMORY); i++) packed.putLong(ids[i]);
        if (isActive) {
            packed.putLong(enteredAt).put((byte) step).putLong(deadline).putLong(sendHigh).putLong(sendLow);
            packed.put((byte) best).putLong(amount).put((byte) items);
        }
        return Arrays.copyOf(packed.array(), packed.position());
    }
}
