import java.nio.ByteBuffer;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

/**
 * The cascade on Kafka Streams as those who know it would tune it: exactly once, bytes instead of serdes with objects, two
 * RocksDB stores with changelogs, no record cache (customers are many), and a deadline that moves outwards writes nothing.
 *
 * <p>Told by words {@code name=value}: brokers, group, input, outputs (the journal, then one for each step), state,
 * commit-ms, arm-at (0 for none), compression.
 */
public final class Peer {
    private static final String ROWS = "rows", DEADLINES = "deadlines";

    private Peer() {}

    public static void main(String[] words) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (String word : words) told.put(word.substring(0, word.indexOf('=')), word.substring(word.indexOf('=') + 1));
        String[] outputs = told.get("outputs").split(",");
        long armAt = Long.parseLong(told.get("arm-at"));

        KafkaStreams streams = new KafkaStreams(topology(told.get("input"), outputs, armAt), settings(told));
        streams.setGlobalStateRestoreListener(new Restoring());
        streams.setStateListener((now, before) -> Meter.isReady = now == KafkaStreams.State.RUNNING);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(60));
            Meter.say(true);
        }));
        Meter.start();
        streams.start();
        Thread.currentThread().join();
    }

    private static Properties settings(Map<String, String> told) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("group"));
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("brokers"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, told.get("state"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told.get("commit-ms"));
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0L);
        p.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Rocks.class);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        p.put(StreamsConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 256 << 20);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), told.get("compression"));
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        p.put(StreamsConfig.restoreConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 20_000);
        p.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // Who comes back in time needs not wait for the end of its former session.
        p.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "one");
        // As the changelogs of the others, see `ground.rs`.
        p.put(StreamsConfig.topicPrefix(TopicConfig.SEGMENT_BYTES_CONFIG), 16 << 20);
        p.put(StreamsConfig.topicPrefix(TopicConfig.SEGMENT_MS_CONFIG), 5_000);
        p.put(StreamsConfig.topicPrefix(TopicConfig.MIN_CLEANABLE_DIRTY_RATIO_CONFIG), 0.01);
        return p;
    }

    private static Topology topology(String input, String[] outputs, long armAt) {
        Topology topology = new Topology();
        topology.addSource("input", new ByteArrayDeserializer(), new ByteArrayDeserializer(), input);
        topology.addProcessor("cascade", () -> new Operator(outputs, armAt), "input");
        for (String store : new String[] {ROWS, DEADLINES}) {
            StoreBuilder<KeyValueStore<Bytes, byte[]>> builder =
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(store), Serdes.Bytes(), Serdes.ByteArray());
            topology.addStateStore(builder, "cascade");
        }
        for (String output : outputs) {
            topology.addSink(output, output, new ByteArraySerializer(), new ByteArraySerializer(), "cascade");
        }
        return topology;
    }

    private static final class Operator implements Processor<byte[], byte[], byte[], byte[]>, Cascade.Out {
        private static final byte[] EMPTY = {};
        private final String[] outputs;
        private final Cascade cascade;
        private final Row row = new Row();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> rows, deadlines;
        private byte[] customer;
        private long now;
        /** All entries before this moment have fired: looks begin here, behind their tombstones. */
        private long firedUntil;

        Operator(String[] outputs, long armAt) {
            this.outputs = outputs;
            try {
                cascade = new Cascade(armAt);
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            rows = context.getStateStore(ROWS);
            deadlines = context.getStateStore(DEADLINES);
            context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, this::fire);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            customer = record.key();
            now = System.currentTimeMillis();
            Bytes key = Bytes.wrap(customer);
            byte[] packed = rows.get(key);
            if (packed == null) row.begin(customer);
            else row.unpack(packed);
            cascade.event(row, customer, record.value(), now, this);
            index();
            rows.put(key, row.pack());
            Meter.EVENTS.increment();
        }

        private void fire(long wallClock) {
            now = wallClock;
            try (KeyValueIterator<Bytes, byte[]> due = deadlines.range(entry(firedUntil, EMPTY), entry(now + 1, EMPTY))) {
                while (due.hasNext()) {
                    byte[] entry = due.next().key.get();
                    customer = Arrays.copyOfRange(entry, 8, entry.length);
                    Bytes key = Bytes.wrap(customer);
                    row.unpack(rows.get(key));
                    deadlines.put(Bytes.wrap(entry), null);
                    row.indexedAt = 0;
                    if (row.deadline != 0 && row.deadline <= now) {
                        cascade.due(row, customer, now, this);
                        Meter.FIRED.increment();
                    }
                    index();
                    rows.put(key, row.pack());
                }
            }
            firedUntil = now;
        }

        @Override
        public void record(int topic, byte[] value) {
            context.forward(new Record<>(customer, value, now), outputs[topic]);
        }

        /** An entry that is too early stays, and moves when it comes due: far fewer writes, as deadlines mostly move outwards. */
        private void index() {
            if (row.deadline == 0 || row.indexedAt != 0 && row.indexedAt <= row.deadline) return;
            // `delete` would read the old value first.
            if (row.indexedAt != 0) deadlines.put(entry(row.indexedAt, customer), null);
            deadlines.put(entry(row.deadline, customer), EMPTY);
            row.indexedAt = row.deadline;
        }

        /** Moment, then customer: the order of bytes is the order of deadlines. */
        private static Bytes entry(long at, byte[] customer) {
            return Bytes.wrap(ByteBuffer.allocate(8 + customer.length).putLong(at).put(customer).array());
        }
    }

    /** One block cache for all stores, filters, large buffers. */
    public static final class Rocks implements RocksDBConfigSetter {
        private static final Cache CACHE = new LRUCache(512L << 20);
        private BloomFilter filter;

        @Override
        public void setConfig(String store, Options options, Map<String, Object> settings) {
            BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
            filter = new BloomFilter(10);
            table.setBlockCache(CACHE);
            table.setFilterPolicy(filter);
            table.setCacheIndexAndFilterBlocks(true);
            table.setPinL0FilterAndIndexBlocksInCache(true);
            table.setFormatVersion(5);
            options.setTableFormatConfig(table);
            options.setWriteBufferSize(64L << 20);
            options.setMaxWriteBufferNumber(3);
        }

        @Override
        public void close(String store, Options options) {
            filter.close();
        }
    }

    /** From the first store that begins to restore. */
    private static final class Restoring implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long from, long to) {
            Meter.isRestoring = true;
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long records) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long records) {}
    }
}
