// Prints the name of every property that MirrorMaker 2 and its clients define, one a line: the
// import has to account for each of them.

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;

public final class MirrorProperties {
    private static final String PACKAGE = "org.apache.kafka.connect.mirror.";

    public static void main(String[] args) throws Exception {
        Set<String> names = new TreeSet<>();
        for (String name : new String[] {"MirrorSourceConfig", "MirrorCheckpointConfig", "MirrorHeartbeatConfig"}) {
            Field field = Class.forName(PACKAGE + name).getDeclaredField("CONNECTOR_CONFIG_DEF");
            field.setAccessible(true);
            names.addAll(((ConfigDef) field.get(null)).names());
        }
        names.addAll(definition(Class.forName(PACKAGE + "MirrorMakerConfig"), "config").names());
        for (String name : new String[] {"DefaultTopicFilter$TopicFilterConfig", "DefaultGroupFilter$GroupFilterConfig",
            "DefaultConfigPropertyFilter$ConfigPropertyFilterConfig"}) {
            Field field = Class.forName(PACKAGE + name).getDeclaredField("DEF");
            field.setAccessible(true);
            names.addAll(((ConfigDef) field.get(null)).names());
        }
        ConsumerConfig.configNames().forEach(name -> names.add("consumer." + name));
        ProducerConfig.configNames().forEach(name -> names.add("producer." + name));
        AdminClientConfig.configNames().forEach(name -> names.add("admin." + name));
        names.forEach(name -> System.out.println("property " + name));
        System.out.println("end");
    }

    private static ConfigDef definition(Class<?> owner, String name) throws Exception {
        Method method = owner.getDeclaredMethod(name);
        method.setAccessible(true);
        return (ConfigDef) method.invoke(null);
    }
}
