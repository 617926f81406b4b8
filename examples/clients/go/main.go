// Asks tfvs serve, or TensorFlow Serving, what is on an image, over gRPC.
//
//	go run . serving.pb 127.0.0.1:8500 digits photo.jpg
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const method = "/tensorflow.serving.PredictionService/Predict"

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: go run . serving.pb HOST:PORT MODEL IMAGE")
		os.Exit(2)
	}
	label, reason, err := predict(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if reason != "" {
		fmt.Fprintln(os.Stderr, "The image is not valid:", reason)
		os.Exit(4)
	}
	fmt.Printf("{\"label\": %q}\n", label)
}

func predict(descriptors, server, model, image string) (label, reason string, err error) {
	request, response, err := messages(descriptors)
	if err != nil {
		return "", "", err
	}
	pixels, err := os.ReadFile(image)
	if err != nil {
		return "", "", err
	}
	spec := child(request, "model_spec")
	set(spec, "name", protoreflect.ValueOfString(model))
	set(spec, "signature_name", protoreflect.ValueOfString("predict_images"))
	inputs := request.Mutable(field(request, "inputs")).Map()
	tensor := inputs.Mutable(protoreflect.ValueOfString("image_bytes").MapKey()).Message()
	set(tensor, "dtype", protoreflect.ValueOfEnum(7)) // DT_STRING
	shape := child(tensor, "tensor_shape")
	size := shape.Mutable(field(shape, "dim")).List().AppendMutable().Message()
	set(size, "size", protoreflect.ValueOfInt64(1))
	tensor.Mutable(field(tensor, "string_val")).List().Append(protoreflect.ValueOfBytes(pixels))

	connection, err := grpc.Dial(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", "", err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := connection.Invoke(ctx, method, request.Interface(), response.Interface()); err != nil {
		return "", "", err
	}
	if !output(response, "valid", "bool_val").Get(0).Bool() {
		return "", string(output(response, "reason", "string_val").Get(0).Bytes()), nil
	}
	return string(output(response, "labels", "string_val").Get(0).Bytes()), "", nil
}

// messages makes an empty request and an empty response from TensorFlow Serving's protos.
func messages(path string) (request, response protoreflect.Message, err error) {
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(encoded, &set); err != nil {
		return nil, nil, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, nil, err
	}
	found, err := files.FindDescriptorByName("tensorflow.serving.PredictionService")
	if err != nil {
		return nil, nil, err
	}
	call := found.(protoreflect.ServiceDescriptor).Methods().ByName("Predict")
	return dynamicpb.NewMessage(call.Input()), dynamicpb.NewMessage(call.Output()), nil
}

func field(message protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().ByName(name)
}

func child(message protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	return message.Mutable(field(message, name)).Message()
}

func set(message protoreflect.Message, name protoreflect.Name, value protoreflect.Value) {
	message.Set(field(message, name), value)
}

// output is one output's values, in the field of its type.
func output(response protoreflect.Message, name string, values protoreflect.Name) protoreflect.List {
	tensor := response.Get(field(response, "outputs")).Map().Get(protoreflect.ValueOfString(name).MapKey()).Message()
	return tensor.Get(field(tensor, values)).List()
}
