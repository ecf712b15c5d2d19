// Quantization cells of a JPEG file and the projection onto them: the rules of photo/formats/jpeg_cells.py, with
// the coefficients as the file holds them.

const TO_YCC = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]];
const TO_RGB = inverse(TO_YCC);
const COSINES = Array.from({ length: 64 }, (_, i) => { // [frequency, place]
  const k = i >> 3, n = i & 7;
  return k ? 0.5 * Math.cos(Math.PI * (2 * n + 1) * k / 16) : Math.SQRT1_2 / 2;
});

function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [[e * i - f * h, c * h - b * i, b * f - c * e], [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d]].map(row => row.map(v => v / det));
}

const work = new Float64Array(64);

/** Orthonormal DCT of a block in place, or back. */
function dct(block, back) {
  for (const [rows, from, to] of [[1, block, work], [0, work, block]])
    for (let line = 0; line < 8; line++)
      for (let k = 0; k < 8; k++) {
        let sum = 0;
        for (let n = 0; n < 8; n++)
          sum += (back ? COSINES[8 * n + k] : COSINES[8 * k + n]) * from[rows ? 8 * line + n : 8 * n + line];
        to[rows ? 8 * line + k : 8 * k + line] = sum;
      }
}

/**
 * The nearest picture in the cells to a window, in place.
 * @param x planes of red, green and blue in [0, 1], float32
 * @param box of the window; top and left are multiples of 16
 * @param file {components: [{steps, levels, columns}], step, grey} as of readCoefficients
 */
export function project(x, box, file) {
  move(x, box, file, ({ steps, levels, at }, c, i, k) => {
    const centre = levels[at(i) + k] * steps[k], reach = steps[k] / 2;
    return Math.min(centre + reach, Math.max(centre - reach, c));
  });
}

/**
 * The mean of the source over its cells, in place, given an estimate that has not seen them: JpegCells.expected.
 * @param error standard deviation to expect of `x`, of its shape, in levels
 * @param network of cells
 */
export async function expected(x, box, file, error, network) {
  for (let i = 0; i < x.length; i++) x[i] = Math.min(1, Math.max(0, x[i]));
  const n = box.height * box.width, ycc = toYcc(x, n), targets = [];
  for (const part of partsOf(box, file)) {
    const { number, steps, levels, rows, columns, at } = part, blocks = rows * columns, mean = new Float64Array(64);
    const place = new Float32Array(64 * blocks), level = new Float32Array(64 * blocks), wrong = new Float32Array(blocks);
    eachBlock(error.subarray(number * n, (number + 1) * n), box, part, (block, i) => wrong[i] = block.reduce((a, b) => a + b) / 64);
    eachBlock(ycc.subarray(number * n, (number + 1) * n), box, part, (block, i) => {
      mean.set(block);
      dct(mean, false);
      for (let k = 0; k < 64; k++) {
        level[k * blocks + i] = levels[at(i) + k];
        place[k * blocks + i] = mean[k] / steps[k] - levels[at(i) + k];
      }
    });
    const found = new Float32Array(64 * blocks);
    for (let first = 0; first < rows; first += ROWS) { // as many rows as Python takes
      const start = Math.max(0, first - SEEN), end = Math.min(rows, first + ROWS + SEEN), high = end - start;
      const cut = (data, planes) => {
        const out = new Float32Array(planes * high * columns);
        for (let k = 0; k < planes; k++) out.set(data.subarray((k * rows + start) * columns, (k * rows + end) * columns), k * high * columns);
        return { data: out, dims: [1, planes, high, columns] };
      };
      const told = {
        place: cut(place, 64), level: cut(level, 64), error: cut(wrong, 1),
        steps: { data: Float32Array.from(steps), dims: [1, 64, 1, 1] }, chroma: { data: Float32Array.of(number ? 1 : 0), dims: [1, 1, 1, 1] },
      };
      const { data } = (await network.run(told)).expected, kept = Math.min(ROWS, rows - first);
      for (let k = 0; k < 64; k++) {
        const from = (k * high + first - start) * columns;
        found.set(data.subarray(from, from + kept * columns), k * blocks + first * columns);
      }
    }
    targets[number] = found;
  }
  move(x, box, file, ({ number, steps, levels, at, rows, columns }, c, i, k) =>
    (levels[at(i) + k] + targets[number][k * rows * columns + i]) * steps[k]);
}

const ROWS = 8, SEEN = 2;

/** What is known of the components of a window in whole blocks; at(i) is where block i of the window stands in the file. */
function partsOf({ height, width, top, left }, file) {
  return file.components.flatMap((component, number) => {
    if (!component || (number && file.grey)) return [];
    const step = number ? file.step : 1, side = 8 * step;
    const rows = Math.floor(height / side), columns = Math.floor(width / side);
    const at = i => 64 * ((top / side + Math.floor(i / columns)) * component.columns + left / side + i % columns);
    return rows && columns ? [{ ...component, number, step, rows, columns, at }] : [];
  });
}

/** Change a window so that its coefficients are what `target(part, coefficient, block, frequency)` says, as far as [0, 1] allows. */
function move(x, box, file, target) {
  const n = box.height * box.width, parts = partsOf(box, file);
  for (let round = 0; round < 2; round++) {
    const ycc = toYcc(x, n);
    for (const part of parts)
      eachBlock(ycc.subarray(part.number * n, (part.number + 1) * n), box, part, (block, i) => {
        dct(block, false);
        for (let k = 0; k < 64; k++) block[k] = target(part, block[k], i, k) - block[k];
        dct(block, true);
        return block;
      });
    if (file.grey) ycc.fill(0, n);
    for (let i = 0; i < n; i++) ycc[i] += 128;
    turn(TO_RGB, ycc, x, n, 1 / 255);
    for (let i = 0; i < 3 * n; i++) x[i] = Math.min(1, Math.max(0, x[i]));
  }
}

/** Luma less 128 and chroma in levels. */
function toYcc(x, n) {
  const ycc = new Float32Array(3 * n);
  turn(TO_YCC, x, ycc, n, 255);
  for (let i = 0; i < n; i++) ycc[i] -= 128;
  return ycc;
}

function turn(m, from, to, n, scale) {
  for (let i = 0; i < n; i++)
    for (let k = 0; k < 3; k++) to[k * n + i] = (m[k][0] * from[i] + m[k][1] * from[n + i] + m[k][2] * from[2 * n + i]) * scale;
}

/** Call `use(block, number)` with the samples of each whole block of a plane; a block that it returns is added to them. */
function eachBlock(plane, { width }, { step, rows, columns }, use) {
  const side = 8 * step, block = new Float64Array(64);
  for (let i = 0; i < rows * columns; i++) {
    const from = Math.floor(i / columns) * side * width + i % columns * side;
    block.fill(0);
    for (let y = 0; y < side; y++)
      for (let z = 0; z < side; z++)
        block[8 * Math.floor(y / step) + Math.floor(z / step)] += plane[from + y * width + z] / (step * step);
    if (typeof use(block, i) !== "object") continue;
    for (let y = 0; y < side; y++)
      for (let z = 0; z < side; z++)
        plane[from + y * width + z] += block[8 * Math.floor(y / step) + Math.floor(z / step)];
  }
}
