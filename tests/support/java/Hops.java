// MirrorMaker 2's own client on topics of heartbeats: the clusters that it finds and their hops, and
// the newest record of one topic as its own class reads it.

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.connect.mirror.Heartbeat;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

public class Hops {
  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    String topic = args[1];
    Map<String, Object> client = Map.of("bootstrap.servers", brokers);
    for (String cluster : new TreeSet<>(RemoteClusterUtils.upstreamClusters(client))) {
      System.out.println(
          "hops " + cluster + " " + RemoteClusterUtils.replicationHops(client, cluster));
    }
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<byte[], byte[]>(client, bytes, bytes)) {
      var partition = new TopicPartition(topic, 0);
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long end = consumer.endOffsets(List.of(partition)).get(partition);
      ConsumerRecord<byte[], byte[]> last = null;
      for (int poll = 0; poll < 60 && consumer.position(partition) < end; poll++) {
        for (var each : consumer.poll(Duration.ofSeconds(1))) last = each;
      }
      Heartbeat heartbeat = Heartbeat.deserializeRecord(last);
      System.out.println(
          "heartbeat "
              + heartbeat.sourceClusterAlias()
              + " "
              + heartbeat.targetClusterAlias()
              + " "
              + heartbeat.timestamp());
    }
    System.out.println("end");
  }
}
