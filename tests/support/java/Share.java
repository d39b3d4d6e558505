// A share consumer: reads one record of the topic as a member of the share group, and ends.
//
//   java -cp 'LIBS/*' Share.java BROKERS TOPIC GROUP

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;

public class Share {
  static final long MS_MAX = 60_000;

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("group.id", args[2]);
    String strings = "org.apache.kafka.common.serialization.StringDeserializer";
    properties.put("key.deserializer", strings);
    properties.put("value.deserializer", strings);
    long untilMs = System.currentTimeMillis() + MS_MAX;
    long read = 0;
    try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(properties)) {
      consumer.subscribe(List.of(args[1]));
      while (read == 0 && System.currentTimeMillis() < untilMs) {
        for (ConsumerRecord<String, String> each : consumer.poll(Duration.ofMillis(100))) {
          System.out.println("read " + each.partition() + " " + each.offset() + " " + each.value());
          read += 1;
        }
      }
    }
    System.out.println("end");
  }
}
