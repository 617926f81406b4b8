import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.MethodDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Asks tfvs serve, or TensorFlow Serving, what is on an image, over gRPC.
 *
 * <p>{@code mvn -q -B compile exec:java -Dexec.args="serving.pb 127.0.0.1:8500 digits photo.jpg"}
 */
public final class Predict {
  private static final String FILE = "tensorflow_serving/apis/prediction_service.proto";

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 4) {
      System.err.println("usage: Predict serving.pb HOST:PORT MODEL IMAGE");
      System.exit(2);
    }
    MethodDescriptor call = predictCall(Path.of(arguments[0]));
    ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[1]).usePlaintext().build();
    int code = 0;
    try {
      DynamicMessage request = request(call.getInputType(), arguments[2], Path.of(arguments[3]));
      CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(60, TimeUnit.SECONDS);
      code = show(outputs(ClientCalls.blockingUnaryCall(channel, grpcMethod(call), options, request)));
    } catch (StatusRuntimeException error) {
      System.err.println(error.getStatus());
      code = 1;
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
    System.exit(code);
  }

  private static int show(Map<String, Message> outputs) {
    if (!(Boolean) first(outputs.get("valid"), "bool_val")) {
      System.err.println("The image is not valid: " + text(outputs.get("reason")));
      return 4;
    }
    System.out.printf("{\"label\": \"%s\"}%n", text(outputs.get("labels")));
    return 0;
  }

  private static DynamicMessage request(Descriptor type, String model, Path image) throws IOException {
    Descriptor specType = type.findFieldByName("model_spec").getMessageType();
    DynamicMessage spec =
        DynamicMessage.newBuilder(specType)
            .setField(specType.findFieldByName("name"), model)
            .setField(specType.findFieldByName("signature_name"), "predict_images")
            .build();
    FieldDescriptor inputs = type.findFieldByName("inputs");
    Descriptor entryType = inputs.getMessageType();
    Descriptor tensorType = entryType.findFieldByName("value").getMessageType();
    FieldDescriptor dtype = tensorType.findFieldByName("dtype");
    FieldDescriptor shape = tensorType.findFieldByName("tensor_shape");
    FieldDescriptor dim = shape.getMessageType().findFieldByName("dim");
    FieldDescriptor size = dim.getMessageType().findFieldByName("size");
    Message one = DynamicMessage.newBuilder(dim.getMessageType()).setField(size, 1L).build();
    Message vector = DynamicMessage.newBuilder(shape.getMessageType()).addRepeatedField(dim, one).build();
    ByteString pixels = ByteString.copyFrom(Files.readAllBytes(image));
    Message tensor =
        DynamicMessage.newBuilder(tensorType)
            .setField(dtype, dtype.getEnumType().findValueByName("DT_STRING"))
            .setField(shape, vector)
            .addRepeatedField(tensorType.findFieldByName("string_val"), pixels)
            .build();
    Message entry =
        DynamicMessage.newBuilder(entryType)
            .setField(entryType.findFieldByName("key"), "image_bytes")
            .setField(entryType.findFieldByName("value"), tensor)
            .build();
    return DynamicMessage.newBuilder(type)
        .setField(type.findFieldByName("model_spec"), spec)
        .addRepeatedField(inputs, entry)
        .build();
  }

  private static Map<String, Message> outputs(Message response) {
    Map<String, Message> found = new HashMap<>();
    for (Object item : (List<?>) response.getField(response.getDescriptorForType().findFieldByName("outputs"))) {
      Message entry = (Message) item;
      Descriptor type = entry.getDescriptorForType();
      Object key = entry.getField(type.findFieldByName("key"));
      found.put((String) key, (Message) entry.getField(type.findFieldByName("value")));
    }
    return found;
  }

  private static Object first(Message tensor, String values) {
    return tensor.getRepeatedField(tensor.getDescriptorForType().findFieldByName(values), 0);
  }

  private static String text(Message tensor) {
    return ((ByteString) first(tensor, "string_val")).toStringUtf8();
  }

  private static MethodDescriptor predictCall(Path path) throws IOException, DescriptorValidationException {
    Map<String, FileDescriptor> known = new HashMap<>();
    for (FileDescriptorProto file : FileDescriptorSet.parseFrom(Files.readAllBytes(path)).getFileList()) {
      FileDescriptor[] imports =
          file.getDependencyList().stream().map(known::get).toArray(FileDescriptor[]::new);
      known.put(file.getName(), FileDescriptor.buildFrom(file, imports));
    }
    return known.get(FILE).findServiceByName("PredictionService").findMethodByName("Predict");
  }

  private static io.grpc.MethodDescriptor<DynamicMessage, DynamicMessage> grpcMethod(MethodDescriptor call) {
    return io.grpc.MethodDescriptor.<DynamicMessage, DynamicMessage>newBuilder()
        .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(
            io.grpc.MethodDescriptor.generateFullMethodName(call.getService().getFullName(), call.getName()))
        .setRequestMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(call.getInputType())))
        .setResponseMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(call.getOutputType())))
        .build();
  }
}
