import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.UUID;

/** What is done with an event, and with a deadline: the same as `tests/src/peers/cascade.rs`. */
final class Cascade {
    /** Takes a record: the number of its topic, 0 for the journal, else the step; and its value. */
    interface Out {
        void record(int topic, byte[] value);
    }

    private enum Decision {
        DUPLICATE, ARMED, SENT, UPDATED, IGNORED, ADVANCED, EXHAUSTED, OPENED, REARMED, GOAL, TIMEOUT, TIMED_OUT
    }

    private static final int CART_UPDATED = 0, PURCHASED = 1;
    private static final int DELIVERED = 1, OPENED = 2, FAILED = 3;
    /** Of SENT, DELIVERED, OPENED, FAILED, as they stand on the wire. */
    private static final int[] RANK = {1, 3, 4, 2};
    private static final long CART_WAIT = 3_600_000, STEP_WAIT = 3 * CART_WAIT, HIGH = 100_000;
    private static final byte[] NAME_SPACE = ascii("cascade/send/v1/");
    private static final byte[][] CHANNELS = {ascii("push"), ascii("email"), ascii("sms")};
    private static final byte[][] TEMPLATES = {ascii("cart-push-v1"), ascii("cart-email-v1"), ascii("cart-sms-v1")};

    /** When every cart is looked at again; 0 for an hour after its last change. */
    private final long armAt;
    private final Wire in = new Wire(), out = new Wire();
    private final ByteBuffer name = ByteBuffer.allocate(9);
    private final MessageDigest sha1;

    // The event that was read last.
    private int idBegin, idEnd, kind, items, status;
    private long occurredAt, amount;

    Cascade(long armAt) throws NoSuchAlgorithmException {
        this.armAt = armAt;
        sha1 = MessageDigest.getInstance("SHA-1");
    }

    void event(Row row, byte[] customer, byte[] value, long now, Out to) {
        read(value);
        Decision decision = decide(row, customer, now, to);
        journal(customer, value, idBegin, idEnd, decision, row.step, now, to);
    }

    void due(Row row, byte[] customer, long now, Out to) {
        byte[] id = ascii("due:" + row.deadline);
        Decision decision = advance(row, customer, now, to) ? Decision.TIMEOUT : Decision.TIMED_OUT;
        journal(customer, id, 0, id.length, decision, row.step, now, to);
    }

    private void read(byte[] value) {
        in.read(value);
        idBegin = in.string();
        idEnd = in.at;
        occurredAt = in.number();
        kind = (int) in.number();
        amount = in.number();
        items = 0;
        for (long block = in.number(); block > 0; block = in.number()) {
            for (long i = 0; i < block; i++) {
                in.string();
                in.number();
                in.number();
            }
            items += (int) block;
        }
        if (in.number() == 1) in.string();
        status = in.number() == 1 ? (int) in.number() : -1;
    }

    private Decision decide(Row row, byte[] customer, long now, Out to) {
        long id = 0xcbf29ce484222325L;
        for (int i = idBegin; i < idEnd; i++) id = (id ^ in.bytes[i] & 0xff) * 0x100000001b3L;
        if (row.knows(id)) return Decision.DUPLICATE;
        row.remember(id);
        if (kind == CART_UPDATED) return cart(row, customer, now, to);
        if (!row.isActive) return Decision.IGNORED;
        if (kind == PURCHASED) {
            row.leave();
            return Decision.GOAL;
        }
        if (status < 0 || RANK[status] < row.best) return Decision.IGNORED;
        row.best = RANK[status];
        switch (status) {
            case OPENED:
                row.leave();
                return Decision.OPENED;
            case DELIVERED:
                row.deadline = now + STEP_WAIT;
                return Decision.REARMED;
            case FAILED:
                return advance(row, customer, now, to) ? Decision.ADVANCED : Decision.EXHAUSTED;
            default:
                return Decision.IGNORED;
        }
    }

    private Decision cart(Row row, byte[] customer, long now, Out to) {
        boolean isKnown = row.isActive;
        row.amount = amount;
        row.items = items;
        row.deadline = armAt != 0 ? armAt : now + CART_WAIT;
        if (isKnown) return Decision.UPDATED;
        row.isActive = true;
        row.enteredAt = occurredAt;
        if (amount < HIGH) return Decision.ARMED;
        advance(row, customer, now, to);
        return Decision.SENT;
    }

    /** To the next step and its send; with false there was none, and the cascade has ended. */
    private boolean advance(Row row, byte[] customer, long now, Out to) {
        if (row.step == CHANNELS.length) {
            row.leave();
            return false;
        }
        int channel = row.step++;
        row.best = 0;
        row.deadline = now + STEP_WAIT;
        byte[] id = sendId(row, customer);
        out.begin(Wire.SEND).putString(id).putString(customer).putString(CHANNELS[channel]).putNumber(row.step);
        to.record(row.step, out.putString(TEMPLATES[channel]).putNumber(now).putNumber(row.amount).written());
        return true;
    }

    private byte[] sendId(Row row, byte[] customer) {
        sha1.update(NAME_SPACE);
        sha1.update(customer);
        sha1.update(name.clear().putLong(row.enteredAt).put((byte) row.step).array());
        ByteBuffer hash = ByteBuffer.wrap(sha1.digest());
        row.sendHigh = hash.getLong() & ~0xf000L | 0x5000L;
        row.sendLow = hash.getLong() & ~(0b11L << 62) | 0b10L << 62;
        return ascii(new UUID(row.sendHigh, row.sendLow).toString());
    }

    private void journal(byte[] customer, byte[] id, int begin, int end, Decision decision, int step, long now, Out to) {
        out.begin(Wire.JOURNAL).putString(customer).putString(id, begin, end);
        to.record(0, out.putNumber(decision.ordinal()).putNumber(step).putNumber(now).written());
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
