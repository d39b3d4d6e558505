// An application of Kafka Streams: prints the value of each record, and ends in order after `count`
// records.
//
//   java -cp 'LIBS/*' Stream.java BROKERS TOPIC APPLICATION PROTOCOL COUNT FOLDER
//   PROTOCOL  classic, or streams (KIP-1071)

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;

public class Stream {
  static final long MS_MAX = 60_000;

  public static void main(String[] args) throws Exception {
    CountDownLatch left = new CountDownLatch(Integer.parseInt(args[4]));
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("application.id", args[2]);
    properties.put("group.protocol", args[3]);
    properties.put("auto.offset.reset", "earliest");
    properties.put("state.dir", args[5]);
    properties.put("consumer.isolation.level", "read_committed");
    // A classic application does not leave its group: it is a member for as long as its session.
    properties.put("consumer.session.timeout.ms", "10000");
    properties.put("consumer.heartbeat.interval.ms", "1000");
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(args[1], Consumed.with(Serdes.String(), Serdes.String()))
        .foreach(
            (key, value) -> {
              System.out.println("read 0 0 " + value);
              left.countDown();
            });
    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    streams.start();
    boolean isDone = left.await(MS_MAX, TimeUnit.MILLISECONDS);
    // Commits what was processed.
    streams.close(Duration.ofSeconds(20));
    System.out.println(isDone ? "end" : "late");
    System.exit(0);
  }
}
