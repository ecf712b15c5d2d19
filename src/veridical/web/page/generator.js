// The generator of a format: everything that depends on how it makes a sample stands here.

const AXES = [[1, 1, 1], [1, 0, -1], [1, -2, 1]].map((row, k) => row.map(v => v / Math.sqrt([3, 2, 6][k])));
export const STEPS = 4; // of the flow, as photo/options.py

/**
 * Pixels of x_real in a window, planes like x_mmse.
 * @param network the generator; state: {y, x_mmse, size, features, scale} as of the estimator; noise: standard normal.
 */
export async function generate(network, startNoise, state, noise) {
  if (network.header.kind === "generator") return Object.values(await network.run(state))[0].data; // one step
  const { dims } = state.y, n = noise.length / 3;
  const start = Float32Array.from(noise, v => v * startNoise);
  const end = await integrateOnArcs(async (u, time) => {
    const out = await network.run({ ...state, u: { data: u, dims }, time: { data: Float32Array.of(time), dims: [1] } });
    return Object.values(out)[0].data;
  }, start, STEPS);
  const out = new Float32Array(3 * n), size = state.size.data, x = state.x_mmse.data, scale = state.scale.data[0];
  for (let k = 0; k < n; k++) { // from the flow's axes of colour to red, green and blue
    const w = [0, 1, 2].map(i => end[i * n + k] * size[i * n + k]);
    for (let j = 0; j < 3; j++)
      out[j * n + k] = x[j * n + k] + scale * (AXES[0][j] * w[0] + AXES[1][j] * w[1] + AXES[2][j] * w[2]);
  }
  return out;
}

/** Steps of equal angle; see generate/flow.py. */
async function integrateOnArcs(predict, start, steps) {
  const w = start, u = new Float32Array(w.length), delta = Math.PI / 2 / steps;
  for (let k = 0; ; k++) {
    const cos = Math.cos((k + 0.5) * delta), sin = Math.sin((k + 0.5) * delta), t = sin / (sin + cos);
    for (let i = 0; i < w.length; i++) u[i] = w[i] / (sin + cos);
    const end = await predict(u, t);
    if (k === steps - 1) return end;
    for (let i = 0; i < w.length; i++) w[i] += (end[i] * cos - (u[i] - end[i] * t) / (1 - t) * sin) * delta;
  }
}
