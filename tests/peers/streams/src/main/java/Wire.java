import java.util.Arrays;

/** As much Avro as the work needs: values behind a frame of five bytes, strings and numbers one after another. */
final class Wire {
    static final int INPUT = 1, JOURNAL = 2, SEND = 3;
    private static final int FRAME = 5;

    /** Reads from here on. */
    byte[] bytes = new byte[256];
    int at;

    /** At the first field behind the frame. */
    Wire read(byte[] value) {
        bytes = value;
        at = FRAME;
        return this;
    }

    long number() {
        long number = 0;
        for (int shift = 0; ; shift += 7) {
            byte b = bytes[at++];
            number |= (long) (b & 0x7f) << shift;
            if (b >= 0) return number >>> 1 ^ -(number & 1);
        }
    }

    /** The next string is left where it is: where it begins, and {@link #at} is its end. */
    int string() {
        int length = (int) number();
        at += length;
        return at - length;
    }

    /** Begins a value: nothing but its frame is there then. */
    Wire begin(int schema) {
        at = 0;
        put((byte) 0);
        for (int shift = 24; shift >= 0; shift -= 8) put((byte) (schema >>> shift));
        return this;
    }

    Wire putNumber(long number) {
        long rest = number << 1 ^ number >> 63;
        for (; (rest & ~0x7fL) != 0; rest >>>= 7) put((byte) (rest | 0x80));
        return put((byte) rest);
    }

    Wire putString(byte[] from, int begin, int end) {
        putNumber(end - begin);
        if (at + end - begin > bytes.length) bytes = Arrays.copyOf(bytes, 2 * (at + end - begin));
        System.arraycopy(from, begin, bytes, at, end - begin);
        at += end - begin;
        return this;
    }

    Wire putString(byte[] text) {
        return putString(text, 0, text.length);
    }

    byte[] written() {
        return Arrays.copyOf(bytes, at);
    }

    private Wire put(byte b) {
        if (at == bytes.length) bytes = Arrays.copyOf(bytes, 2 * at);
        bytes[at++] = b;
        return this;
    }
}
