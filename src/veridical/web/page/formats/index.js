// The formats: how each is recognised, what it tells, and what is kept beside its pixels.
import { isAvif, readAvif, splitAvif } from "./avif.js";
import { isJpeg, readJpeg, splitJpeg } from "./jpeg.js";
import { isWebp, readWebp, splitWebp } from "./webp.js";

export const FORMATS = [
  { name: "AVIF", type: "image/avif", sniff: isAvif, read: readAvif, split: splitAvif, tellsGrey: true },
  { name: "WEBP", type: "image/webp", sniff: isWebp, read: readWebp, split: splitWebp, tellsGrey: false },
  { name: "JPEG", type: "image/jpeg", sniff: isJpeg, read: readJpeg, split: splitJpeg, tellsGrey: true },
];

export const formatOf = data => FORMATS.find(f => f.sniff(data)) ?? null;
