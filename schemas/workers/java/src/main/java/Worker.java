import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * A channel's worker in Java: takes commands from {@code send.<channel>}, says in {@code feedback} what became of them. What it must keep to
 * stands in ../README.md. Settings are variables: BROKERS, CHANNEL, PROVIDER_URL, SCHEMAS (the directory of the .avsc files), TOPICS_PREFIX,
 * ON_UNKNOWN. Replace {@link #handOver} by your provider; the rest stays.
 */
public final class Worker {
  /** What is to be told of a command. No statuses: the provider did not take it for now. */
  record Said(List<String> statuses, String code, String providerId) {
    static final Said NOT_NOW = new Said(List.of(), null, null);

    static Said of(String status, String code) {
      return new Said(List.of(status), code, null);
    }
  }

  static final String CHANNEL = setting("CHANNEL", null);
  static final String PREFIX = setting("TOPICS_PREFIX", "").isEmpty() ? "" : setting("TOPICS_PREFIX", "") + ".";
  static final String SEND = PREFIX + "send." + CHANNEL, REVOKE = PREFIX + "revoke", FEEDBACK = PREFIX + "feedback";
  /** `skip`: a message whose outcome is unknown is not sent again (paid channels); `resend`: it is, with the same id. */
  static final boolean SKIP = setting("ON_UNKNOWN", "resend").equals("skip");
  /** From the question what is withdrawn to the call of the provider. */
  static final Duration LOOK_IS_GOOD_FOR = Duration.ofSeconds(1);
  /** Schema ids of these files. A newer Cascade may write newer ones: then this worker stops until it has them, too. */
  static final Map<String, Integer> IDS = Map.of("send", 1_000_008_001, "revoke", 1_000_009_001, "feedback", 1_000_005_001);
  static final Map<String, Schema> AVRO = new HashMap<>();
  static final ObjectMapper JSON = new ObjectMapper();
  static final HttpClient HTTP = HttpClient.newHttpClient();

  volatile boolean stopped;
  final Set<String> withdrawn = new HashSet<>();
  final Set<String> settled = Collections.newSetFromMap(new LinkedHashMap<>() {
    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
      return size() > 100_000;
    }
  });
  final KafkaConsumer<String, byte[]> commands =
      consumer(Map.of("group.id", SEND + ".workers", "auto.offset.reset", "earliest", "max.poll.records", 1));
  /** A client of its own, in no group. */
  final KafkaConsumer<String, byte[]> withdrawals = consumer(Map.of());
  final KafkaProducer<String, byte[]> producer =
      new KafkaProducer<>(kafka(Map.of("enable.idempotence", true)), new StringSerializer(), new ByteArraySerializer());

  public static void main(String[] args) throws Exception {
    for (String name : IDS.keySet()) AVRO.put(name, new Schema.Parser().parse(Path.of(setting("SCHEMAS", "../.."), name + ".avsc").toFile()));
    new Worker().run();
  }

  void run() throws Exception {
    commands.subscribe(List.of(SEND));
    List<TopicPartition> all = withdrawals.partitionsFor(REVOKE).stream().map(it -> new TopicPartition(REVOKE, it.partition())).toList();
    withdrawals.assign(all);
    withdrawals.seekToBeginning(all);
    Thread here = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      stopped = true;
      try {
        here.join();
      } catch (InterruptedException nobodyWaits) {
        here.interrupt();
      }
    }));
    while (!stopped) {
      for (var record : commands.poll(Duration.ofSeconds(1))) { // one at most
        TopicPartition place = new TopicPartition(SEND, record.partition());
        if (settle(decode("send", record.value()), place, record.offset())) continue;
        commands.seek(place, record.offset());
        Thread.sleep(1_000);
      }
    }
    commands.close(); // so that the others need not wait for a time-out
  }

  /** False where the command has to wait for another turn. */
  boolean settle(GenericRecord send, TopicPartition place, long offset) throws Exception {
    String id = send.get("send_id").toString();
    long asked = look(place.partition());
    Said said;
    if (settled.contains(id)) said = new Said(List.of(), null, null); // A command may stand there twice.
    else if (withdrawn.contains(id)) said = Said.of("REVOKED", null);
    else if (System.currentTimeMillis() > (Long) send.get("send_before")) said = Said.of("EXPIRED", null);
    else {
      // Whoever dies from here on has sent at most once.
      if (SKIP) commands.commitSync(Map.of(place, new OffsetAndMetadata(offset + 1)));
      if (System.nanoTime() - asked > LOOK_IS_GOOD_FOR.toNanos()) return false;
      said = handOver(id, send);
      if (said.statuses().isEmpty()) return false;
    }
    for (String status : said.statuses()) tell(id, send, status, said);
    settled.add(id);
    commands.commitSync(Map.of(place, new OffsetAndMetadata(offset + 1)));
    return true;
  }

  /** Reads this partition of `revoke`, which belongs to the same partition of the commands, to where it ends now. */
  long look(int partition) throws IOException {
    long asked = System.nanoTime();
    TopicPartition place = new TopicPartition(REVOKE, partition);
    long end = withdrawals.endOffsets(List.of(place)).get(place);
    while (withdrawals.position(place) < end) {
      for (var record : withdrawals.poll(Duration.ofMillis(100))) {
        GenericRecord revoke = decode("revoke", record.value());
        String channel = revoke.get("channel").toString();
        if (channel.isEmpty() || channel.equals(CHANNEL)) withdrawn.add(revoke.get("send_id").toString());
      }
    }
    return asked;
  }

  /** Calls the provider. */
  static Said handOver(String id, GenericRecord send) throws Exception {
    Map<String, String> fields = new HashMap<>();
    ((Map<?, ?>) send.get("fields")).forEach((name, value) -> fields.put(name.toString(), value.toString()));
    Map<String, Object> message = new HashMap<>(Map.of("send_id", id, "fields", fields));
    message.put("to", send.get("address").toString());
    message.put("template", send.get("template").toString());
    message.put("locale", Objects.toString(send.get("locale"), null));
    var request = HttpRequest.newBuilder(URI.create(setting("PROVIDER_URL", null))).timeout(Duration.ofSeconds(30))
        .header("content-type", "application/json").header("idempotency-key", id)
        .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(message))).build();
    try {
      HttpResponse<byte[]> answer = HTTP.send(request, HttpResponse.BodyHandlers.ofByteArray());
      int code = answer.statusCode();
      // What speaks of this message alone, and never of all: no key that has run out.
      if (code == 400 || code == 410 || code == 422) return Said.of("REFUSED", "http_" + code);
      if (code / 100 == 5 && code != 503) return unknown("http_" + code);
      if (code / 100 != 2) return Said.NOT_NOW;
      JsonNode body = bodyOf(answer);
      // DELIVERED or FAILED at once, where the provider knows it; else its receipts tell (see the contract).
      String status = body.path("status").asText();
      boolean isKnown = status.equals("delivered") || status.equals("failed");
      List<String> statuses = isKnown ? List.of("ACCEPTED", status.toUpperCase(Locale.ROOT)) : List.of("ACCEPTED");
      return new Said(statuses, null, body.path("provider_id").asText(null));
    } catch (ConnectException notReached) {
      return Said.NOT_NOW;
    } catch (IOException noAnswer) {
      return unknown("no_answer");
    }
  }

  /** Whatever stands there, the message has been taken. */
  static JsonNode bodyOf(HttpResponse<byte[]> answer) {
    try {
      return JSON.readTree(answer.body());
    } catch (IOException noJson) {
      return JSON.createObjectNode();
    }
  }

  static Said unknown(String code) {
    return SKIP ? Said.of("UNKNOWN", code) : Said.NOT_NOW;
  }

  /** Each fact has one id, so that a repeat changes nothing. Returns once Kafka has it. No address, no text in it. */
  void tell(String id, GenericRecord send, String status, Said said) throws Exception {
    Schema schema = AVRO.get("feedback");
    GenericRecord fact = new GenericRecordBuilder(schema)
        .set("event_id", id + "/" + status).set("customer_id", send.get("customer_id")).set("send_id", id)
        .set("occurred_at", System.currentTimeMillis()).set("channel", CHANNEL)
        .set("status", new GenericData.EnumSymbol(schema.getField("status").schema(), status))
        .set("provider", "java").set("provider_id", said.providerId()).set("code", said.code()).build();
    producer.send(new ProducerRecord<>(FEEDBACK, send.get("customer_id").toString(), encode("feedback", fact))).get();
  }

  /** A zero byte, the schema id in four bytes, the datum. */
  static GenericRecord decode(String name, byte[] value) throws IOException {
    ByteBuffer frame = ByteBuffer.wrap(value);
    if (frame.get() != 0 || frame.getInt() != IDS.get(name))
      throw new IOException("not a record of " + name + ".avsc as I know it: take the schemas of the Cascade that wrote it");
    return new GenericDatumReader<GenericRecord>(AVRO.get(name)).read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
  }

  static byte[] encode(String name, GenericRecord record) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(IDS.get(name)).array());
    var encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(AVRO.get(name)).write(record, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  static KafkaConsumer<String, byte[]> consumer(Map<String, Object> more) {
    Map<String, Object> settings = kafka(more);
    // Without read_committed one sees commands of transactions that were given up, and sends what nobody decided.
    settings.putAll(Map.of("isolation.level", "read_committed", "enable.auto.commit", false, "fetch.max.wait.ms", 25));
    return new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
  }

  /** Further properties of your cluster, such as security.protocol, go in here. */
  static Map<String, Object> kafka(Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(more);
    settings.put("bootstrap.servers", setting("BROKERS", null));
    return settings;
  }

  static String setting(String name, String otherwise) {
    String value = System.getenv().getOrDefault(name, otherwise);
    if (value == null) throw new IllegalArgumentException("set " + name);
    return value;
  }
}
