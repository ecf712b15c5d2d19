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
  const { height, width, top, left } = box, n = height * width;
  const ycc = new Float32Array(3 * n);
  for (let round = 0; round < 2; round++) {
    turn(TO_YCC, x, ycc, n, 255);
    for (let i = 0; i < n; i++) ycc[i] -= 128;
    for (let k = 0; k < 3; k++) {
      const plane = ycc.subarray(k * n, (k + 1) * n);
      if (k && file.grey) plane.fill(0);
      else if (file.components[k]) moveInside(plane, width, height, file.components[k], k ? file.step : 1, top, left);
    }
    for (let i = 0; i < n; i++) ycc[i] += 128;
    turn(TO_RGB, ycc, x, n, 1 / 255);
    for (let i = 0; i < 3 * n; i++) x[i] = Math.min(1, Math.max(0, x[i]));
  }
}

function turn(m, from, to, n, scale) {
  for (let i = 0; i < n; i++)
    for (let k = 0; k < 3; k++) to[k * n + i] = (m[k][0] * from[i] + m[k][1] * from[n + i] + m[k][2] * from[2 * n + i]) * scale;
}

/** Change a plane so that the coefficients of its whole blocks lie in their cells; step: pixels that a sample covers. */
function moveInside(plane, width, height, { steps, levels, columns }, step, top, left) {
  const side = 8 * step, block = new Float64Array(64), row0 = top / side, column0 = left / side;
  for (let by = 0; (by + 1) * side <= height; by++)
    for (let bx = 0; (bx + 1) * side <= width; bx++) {
      const from = by * side * width + bx * side, at = 64 * ((row0 + by) * columns + column0 + bx);
      block.fill(0);
      for (let y = 0; y < side; y++)
        for (let z = 0; z < side; z++)
          block[8 * Math.floor(y / step) + Math.floor(z / step)] += plane[from + y * width + z] / (step * step);
      dct(block, false);
      for (let k = 0; k < 64; k++) {
        const centre = levels[at + k] * steps[k], reach = steps[k] / 2, c = block[k];
        block[k] = Math.min(centre + reach, Math.max(centre - reach, c)) - c;
      }
      dct(block, true);
      for (let y = 0; y < side; y++)
        for (let z = 0; z < side; z++)
          plane[from + y * width + z] += block[8 * Math.floor(y / step) + Math.floor(z / step)];
    }
}
