// Asks model.onnx about pictures: npm install, then node predict.mjs PICTURE...
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ort from "onnxruntime-node";
import sharp from "sharp";

const inBundle = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const labels = readFileSync(inBundle("labels.txt"), "utf8").split("\n");
const threshold = Number(readFileSync(inBundle("threshold.txt"), "utf8"));
const session = await ort.InferenceSession.create(inBundle("model.onnx"));

for (const name of process.argv.slice(2)) {
  const { data, info } = await sharp(name).rotate().toColourspace("srgb").removeAlpha().raw().toBuffer({ resolveWithObject: true });
  // One picture of any size, as rows of pixels: the model resizes, crops and normalises it.
  const picture = new ort.Tensor("uint8", new Uint8Array(data), [info.height, info.width, 3]);
  const { probabilities } = await session.run({ picture }, ["probabilities"]);
  const best = probabilities.data.indexOf(Math.max(...probabilities.data));
  const share = probabilities.data[best];
  console.log(`${share >= threshold ? labels[best] : "do not know"}\t${share.toFixed(4)}\t${name}`);
}
