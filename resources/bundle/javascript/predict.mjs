// Asks model.onnx about pictures: npm install --ignore-scripts, then node predict.mjs PICTURE...
// The script that is ignored fetches what only a GPU needs, and the installation fails where it cannot.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ort from "onnxruntime-node";
import sharp from "sharp";

const pictures = process.argv.slice(2);
if (!pictures.length) {
  console.error("Usage: node predict.mjs PICTURE...");
  process.exit(2);
}

const inBundle = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const labels = readFileSync(inBundle("labels.txt"), "utf8").split("\n");
const threshold = Number(readFileSync(inBundle("threshold.txt"), "utf8"));
const session = await ort.InferenceSession.create(inBundle("model.onnx"));

async function decoded(name) {
  const picture = sharp(name);
  const { depth } = await picture.metadata();
  // Signed, larger and real numbers would be cut off at 255 instead of scaled.
  if (depth !== "uchar" && depth !== "ushort") throw new Error("pixels of this depth are not known here");
  const upright = picture.rotate().flatten({ background: "white" });
  return upright.toColourspace("srgb").removeAlpha().raw().toBuffer({ resolveWithObject: true });
}

for (const name of pictures) {
  const found = await decoded(name).catch(() => null);
  if (!found) {
    console.error(`${name}: there is no picture here that can be read.`);
    process.exitCode = 1;
    continue;
  }
  const { data, info } = found;
  // One picture of any size, as rows of pixels: the model resizes, crops and normalises it.
  const picture = new ort.Tensor("uint8", new Uint8Array(data), [info.height, info.width, 3]);
  const { probabilities } = await session.run({ picture }, ["probabilities"]);
  const best = probabilities.data.indexOf(Math.max(...probabilities.data));
  const share = probabilities.data[best];
  console.log(`${share >= threshold ? labels[best] : "do not know"}\t${share.toFixed(4)}\t${name}`);
}
