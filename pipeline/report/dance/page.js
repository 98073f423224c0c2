
// Skeletons move: frames are bytes, 17 joints of x and y each, 255 where a joint is not seen (figures.py).
const skeletons = new Map();
for (const svg of document.querySelectorAll("svg.skeleton[data-poses]")) {
  skeletons.set(svg, {
    poses: Uint8Array.from(atob(svg.dataset.poses), c => c.charCodeAt(0)),
    frames: Number(svg.dataset.frames),
    lines: Object.entries(PARTS).map(([part, lines]) => [svg.querySelector("." + part), lines]),
    head: svg.querySelector(".head"),
    shown: false,
  });
}

function draw({ poses, lines, head }, frame) {
  const at = joint => [poses[34 * frame + 2 * joint], poses[34 * frame + 2 * joint + 1]];
  const path = joints => (joints.some(j => at(j)[0] === 255) ? "" : "M" + joints.map(j => at(j).join(" ")).join("L"));
  for (const [element, groups] of lines) element.setAttribute("d", groups.map(path).join(""));
  const seen = HEAD.map(at).filter(p => p[0] !== 255);
  const mean = axis => (seen.length ? seen.reduce((sum, p) => sum + p[axis], 0) / seen.length : -99);
  head.setAttribute("cx", mean(0));
  head.setAttribute("cy", mean(1));
}

const watch = new IntersectionObserver(entries => {
  for (const entry of entries) skeletons.get(entry.target).shown = entry.isIntersecting;
});
for (const svg of skeletons.keys()) watch.observe(svg);

const FRAME = 110, REST = 5; // ms a frame; frames of rest at the end, so that the end can be told from the start
let moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
const button = document.getElementById("move");
const label = () => { button.textContent = moving ? "Stop the skeletons" : "Move the skeletons"; };
button.addEventListener("click", () => { moving = !moving; label(); });
button.hidden = skeletons.size === 0;
label();
let last = -1;
requestAnimationFrame(function step(now) {
  const tick = Math.floor(now / FRAME);
  if (moving && tick !== last) {
    last = tick;
    for (const one of skeletons.values()) if (one.shown) draw(one, Math.min(tick % (one.frames + REST), one.frames - 1));
  }
  requestAnimationFrame(step);
});
