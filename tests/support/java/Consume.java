// A consumer of Kafka's own client: reads the topic as a member of the group, prints partition,
// offset and value of each record, commits what it has printed, and ends after `count` records.
//
//   java -cp 'LIBS/*' Consume.java BROKERS TOPIC GROUP PROTOCOL COUNT HOW ISOLATION
//   PROTOCOL  classic, or consumer (KIP-848)
//   COUNT     how many records to read; 0: print `joined` once there is an assignment, then stay
//   HOW       subscribe; assign: without membership, as Flink and Spark do; an offset: from there,
//             as a consumer that keeps its offsets itself
//   ISOLATION read_committed, or read_uncommitted

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

public class Consume {
  static final long MS_MAX = 60_000;

  public static void main(String[] args) throws Exception {
    String topic = args[1];
    long count = Long.parseLong(args[4]);
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("group.id", args[2]);
    properties.put("group.protocol", args[3]);
    properties.put("auto.offset.reset", "earliest");
    properties.put("isolation.level", args[6]);
    properties.put("enable.auto.commit", "false");
    String strings = "org.apache.kafka.common.serialization.StringDeserializer";
    properties.put("key.deserializer", strings);
    properties.put("value.deserializer", strings);
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
      if (args[5].equals("subscribe")) consumer.subscribe(List.of(topic));
      else consumer.assign(List.of(new TopicPartition(topic, 0)));
      if (args[5].matches("\\d+"))
        consumer.seek(new TopicPartition(topic, 0), Long.parseLong(args[5]));
      if (count == 0) stay(consumer);
      else read(consumer, count);
    }
  }

  static void read(KafkaConsumer<String, String> consumer, long count) {
    long untilMs = System.currentTimeMillis() + MS_MAX;
    long read = 0;
    Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
    while (read < count && System.currentTimeMillis() < untilMs) {
      for (ConsumerRecord<String, String> each : consumer.poll(Duration.ofMillis(100))) {
        if (read == count) break;
        System.out.println("read " + each.partition() + " " + each.offset() + " " + each.value());
        read += 1;
        // With the leader epoch, as commitSync without arguments does.
        next.put(
            new TopicPartition(each.topic(), each.partition()),
            new OffsetAndMetadata(each.offset() + 1, each.leaderEpoch(), ""));
      }
    }
    consumer.commitSync(next);
    System.out.println("end");
  }

  static void stay(KafkaConsumer<String, String> consumer) {
    while (true) {
      consumer.poll(Duration.ofMillis(100));
      if (!consumer.assignment().isEmpty()) System.out.println("joined");
    }
  }
}
