// A consumer of Kafka's own client that reads topics as a member of the group until its standard
// input ends: prints topic, partition and value of each record, commits behind what it has printed,
// and leaves the group.
//
//   java -cp 'LIBS/*' Follow.java BROKERS TOPICS GROUP PROTOCOL
//   TOPICS    their names, with commas
//   PROTOCOL  classic, or consumer (KIP-848)

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

public class Follow {
  static volatile boolean isStopped = false;

  public static void main(String[] args) throws Exception {
    Thread stopping = new Thread(Follow::untilInputEnds);
    stopping.setDaemon(true);
    stopping.start();
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("group.id", args[2]);
    properties.put("group.protocol", args[3]);
    properties.put("auto.offset.reset", "earliest");
    properties.put("isolation.level", "read_committed");
    properties.put("enable.auto.commit", "false");
    String strings = "org.apache.kafka.common.serialization.StringDeserializer";
    properties.put("key.deserializer", strings);
    properties.put("value.deserializer", strings);
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
      consumer.subscribe(List.of(args[1].split(",")));
      while (!isStopped) {
        StringBuilder lines = new StringBuilder();
        for (ConsumerRecord<String, String> each : consumer.poll(Duration.ofMillis(100))) {
          lines.append("read ").append(each.topic()).append(' ').append(each.partition());
          lines.append(' ').append(each.value()).append('\n');
        }
        if (lines.isEmpty()) continue;
        out.print(lines);
        out.flush();
        // Every record that is printed is committed: the position is behind the last one.
        consumer.commitSync();
      }
    }
    out.println("end");
    out.flush();
  }

  static void untilInputEnds() {
    try {
      while (System.in.read() != -1) continue;
    } catch (java.io.IOException error) {
      // Whoever wrote there is gone.
    }
    isStopped = true;
  }
}
