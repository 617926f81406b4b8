// Asks tfvs serve, or TensorFlow Serving, what is on an image, over gRPC.
//
//   node predict.js serving.pb 127.0.0.1:8500 digits photo.jpg

const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [descriptors, server, model, image] = process.argv.slice(2);
if (!image) {
  console.error("usage: node predict.js serving.pb HOST:PORT MODEL IMAGE");
  process.exit(2);
}
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptors), { keepCase: true, longs: String });
const { PredictionService } = grpc.loadPackageDefinition(definition).tensorflow.serving;
const client = new PredictionService(server, grpc.credentials.createInsecure());

const request = {
  model_spec: { name: model, signature_name: "predict_images" },
  // From a descriptor file, a map is a list of its entries.
  inputs: [
    {
      key: "image_bytes",
      value: { dtype: "DT_STRING", tensor_shape: { dim: [{ size: 1 }] }, string_val: [fs.readFileSync(image)] },
    },
  ],
};
client.Predict(request, { deadline: Date.now() + 60_000 }, (error, answer) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exit(1);
  }
  const { valid, reason, labels, classes } = Object.fromEntries(answer.outputs.map(({ key, value }) => [key, value]));
  if (!valid.bool_val[0]) {
    console.error(`The image is not valid: ${reason.string_val[0]}`);
    process.exit(4);
  }
  console.log(JSON.stringify({ label: labels.string_val[0].toString(), class: Number(classes.int64_val[0]) }));
  client.close();
});
