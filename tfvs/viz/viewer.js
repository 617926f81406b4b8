"use strict";
/* A deep-zoom viewer of one saccade: tiles on a canvas, boxes in order, crops and probabilities at the side. */
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const view = element("view"), context = view.getContext("2d");
const map = element("map"), mapContext = map.getContext("2d");
const { width, height, levels, tileSize, steps } = data;
const MAX_TILES = 600, MAX_ZOOM = 16;
const camera = { x: width / 2, y: height / 2, scale: 1 }; // centre, image pixels; screen pixels an image pixel
const state = { shown: steps.length, boxes: true, path: true, heat: false, posterior: false, playing: 0, flight: 0, flying: false };
const tiles = new Map(); // key → { image, ready }; the order of insertion is the order of last use
const layers = {}; // "heat" (of sampled trajectories) and "posterior" (over cells) → image
let pending = 0, drawRequested = false;

function tileSource(level, column, row) {
  const key = `${level}/${column}_${row}`;
  return data.tiles ? data.tiles[key] : `${data.folder}/${key}.jpg`;
}

function tile(level, column, row, load) {
  const key = `${level}/${column}_${row}`;
  let found = tiles.get(key);
  if (found) {
    tiles.delete(key);
    tiles.set(key, found);
  } else if (load) {
    found = { image: new Image(), ready: false };
    pending += 1;
    found.image.onload = () => { found.ready = true; pending -= 1; requestDraw(); };
    found.image.onerror = () => {
      pending -= 1;
      element("problem").textContent = `A tile cannot be read: ${data.tiles ? key : tileSource(level, column, row)}. ` +
        "The folder of tiles must lie beside this page.";
      element("problem").hidden = false;
      requestDraw();
    };
    found.image.src = tileSource(level, column, row);
    tiles.set(key, found);
    while (tiles.size > MAX_TILES) tiles.delete(tiles.keys().next().value);
  }
  return found && found.ready ? found.image : null;
}

const size = () => [view.clientWidth, view.clientHeight];
const fitScale = () => Math.min(size()[0] / width, size()[1] / height) * 0.96;
const toScreen = (x, y) => [(x - camera.x) * camera.scale + size()[0] / 2, (y - camera.y) * camera.scale + size()[1] / 2];
const toImage = (x, y) => [(x - size()[0] / 2) / camera.scale + camera.x, (y - size()[1] / 2) / camera.scale + camera.y];

function clampCamera() {
  const least = Math.min(fitScale(), 1) * 0.5;
  camera.scale = Math.min(Math.max(camera.scale, least), Math.max(MAX_ZOOM, fitScale()));
  camera.x = Math.min(Math.max(camera.x, 0), width);
  camera.y = Math.min(Math.max(camera.y, 0), height);
}

function zoomAt(factor, x = size()[0] / 2, y = size()[1] / 2) {
  const [imageX, imageY] = toImage(x, y);
  camera.scale *= factor;
  clampCamera();
  camera.x = imageX - (x - size()[0] / 2) / camera.scale;
  camera.y = imageY - (y - size()[1] / 2) / camera.scale;
  clampCamera();
  requestDraw();
}

function fit() {
  Object.assign(camera, { x: width / 2, y: height / 2, scale: fitScale() });
  requestDraw();
}

function flyTo(box) {
  const from = { ...camera }, flight = (state.flight += 1), begun = performance.now();
  const scale = Math.min(size()[0] / (box[3] - box[1]), size()[1] / (box[2] - box[0])) * 0.5;
  state.flying = true;
  const to = { x: (box[1] + box[3]) / 2, y: (box[0] + box[2]) / 2, scale: Math.min(scale, MAX_ZOOM) };
  const frame = (now) => {
    if (flight !== state.flight) return;
    const t = Math.min((now - begun) / 600, 1), eased = t * t * (3 - 2 * t);
    camera.scale = from.scale * Math.pow(to.scale / from.scale, eased);
    // The centre moves with the scale, so that the way there looks even at every zoom.
    const share = from.scale === to.scale ? eased : (1 / camera.scale - 1 / from.scale) / (1 / to.scale - 1 / from.scale);
    camera.x = from.x + (to.x - from.x) * share;
    camera.y = from.y + (to.y - from.y) * share;
    state.flying = t < 1;
    requestDraw();
    if (t < 1) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

function requestDraw() {
  if (!drawRequested) {
    drawRequested = true;
    requestAnimationFrame(() => { drawRequested = false; draw(); });
  }
}

function draw() {
  const ratio = window.devicePixelRatio || 1, [w, h] = size();
  if (view.width !== Math.round(w * ratio) || view.height !== Math.round(h * ratio)) {
    view.width = Math.round(w * ratio);
    view.height = Math.round(h * ratio);
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  // The coarsest level that still has a pixel for every screen pixel; coarser ones stand in until it is there.
  let best = levels.length - 1;
  while (best > 0 && levels[best - 1].width / width >= camera.scale * ratio) best -= 1;
  drawLevel(0, ratio, true);
  for (let level = 1; level < best; level += 1) drawLevel(level, ratio, false);
  if (best > 0) drawLevel(best, ratio, true);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const name of ["heat", "posterior"]) {
    if (!state[name] || !layers[name] || !layers[name].complete) continue;
    const [x, y] = toScreen(0, 0);
    context.imageSmoothingEnabled = name === "heat"; // cells keep their edges
    context.drawImage(layers[name], x, y, width * camera.scale, height * camera.scale);
  }
  drawSteps();
  drawMap(ratio);
  const percent = 100 * camera.scale;
  element("readout").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} % at ` +
    `${Math.round(camera.x)}, ${Math.round(camera.y)} px`;
  // Programs that take a picture of the page wait for this: every tile and layer of the present view is drawn.
  const complete = Object.values(layers).every((layer) => layer.complete);
  document.body.dataset.ready = String(pending === 0 && !state.flying && complete);
}

function drawLevel(number, ratio, load) {
  const level = levels[number], [w, h] = size();
  const stepX = (tileSize * width) / level.width, stepY = (tileSize * height) / level.height; // image pixels a tile
  const columns = Math.ceil(level.width / tileSize), rows = Math.ceil(level.height / tileSize);
  const [left, top] = toImage(0, 0), [right, bottom] = toImage(w, h);
  // Only the image's own pixels are shown as squares when they grow large; coarser levels merely stand in.
  context.imageSmoothingEnabled = number < levels.length - 1 || camera.scale * ratio < 3;
  for (let row = Math.max(0, Math.floor(top / stepY)); row < Math.min(rows, Math.ceil(bottom / stepY)); row += 1) {
    for (let column = Math.max(0, Math.floor(left / stepX)); column < Math.min(columns, Math.ceil(right / stepX)); column += 1) {
      const image = tile(number, column, row, load);
      if (!image) continue;
      // Whole device pixels, so that neighbouring tiles meet without a seam.
      const [x0, y0] = toScreen(column * stepX, row * stepY).map((value) => Math.round(value * ratio));
      const [x1, y1] = toScreen(Math.min((column + 1) * stepX, width), Math.min((row + 1) * stepY, height)).map((value) => Math.round(value * ratio));
      context.drawImage(image, x0, y0, x1 - x0, y1 - y0);
    }
  }
}

function drawSteps() {
  const shown = steps.slice(0, state.shown);
  if (state.path && shown.length > 1) {
    context.beginPath();
    for (const { box } of shown) context.lineTo(...toScreen((box[1] + box[3]) / 2, (box[0] + box[2]) / 2));
    context.lineJoin = "round";
    for (const [line, colour] of [[4, "rgba(0,0,0,0.6)"], [1.8, "#fff"]]) {
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.stroke();
    }
  }
  if (!state.boxes) return;
  shown.forEach(({ box, colour, on }, index) => {
    const [x0, y0] = toScreen(box[1], box[0]), [x1, y1] = toScreen(box[3], box[2]);
    const line = index === state.shown - 1 && state.shown < steps.length ? 4.5 : 2.5;
    for (const [extra, ink] of [[2, "rgba(0,0,0,0.65)"], [0, colour]]) {
      context.lineWidth = line + extra;
      context.strokeStyle = ink;
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
    context.font = "bold 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const side = 20, top = y0 - side < 0 && y0 > -side ? y0 : y0 - side;
    context.fillStyle = colour;
    context.fillRect(x0 - line / 2, top, side + (index > 8 ? 6 : 0), side);
    context.fillStyle = on;
    context.fillText(String(index + 1), x0 - line / 2 + side / 2 + (index > 8 ? 3 : 0), top + side / 2 + 1);
  });
}

function drawMap(ratio) {
  const scale = Math.min(170 / width, 130 / height), w = Math.max(width * scale, 8), h = Math.max(height * scale, 8);
  map.hidden = camera.scale <= fitScale() * 1.05;
  if (map.hidden) return;
  map.width = w * ratio;
  map.height = h * ratio;
  map.style.width = `${w}px`;
  map.style.height = `${h}px`;
  mapContext.setTransform(ratio, 0, 0, ratio, 0, 0);
  const image = tile(0, 0, 0, true);
  if (image) mapContext.drawImage(image, 0, 0, w, h);
  const [left, top] = toImage(0, 0), [right, bottom] = toImage(...size());
  mapContext.lineWidth = 2;
  mapContext.strokeStyle = "#fff";
  mapContext.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
}

function showSteps(count) {
  state.shown = Math.min(Math.max(count, 0), steps.length);
  element("step").value = state.shown;
  element("steps").textContent = `${state.shown} of ${steps.length}`;
  document.querySelectorAll(".crop").forEach((crop, index) => crop.classList.toggle("later", index >= state.shown));
  requestDraw();
}

function play() {
  if (state.playing) {
    clearInterval(state.playing);
    state.playing = 0;
  } else {
    showSteps(state.shown >= steps.length ? 0 : state.shown);
    state.playing = setInterval(() => {
      showSteps(state.shown + 1);
      if (state.shown >= steps.length) play();
    }, 900);
  }
  element("play").textContent = state.playing ? "❚❚" : "▶";
}

function fillSide() {
  element("title").textContent = data.title;
  element("answer").textContent = data.answer;
  if (data.right !== null) element("answer").className = data.right ? "right" : "wrong";
  element("facts").textContent = data.facts;
  element("step").max = steps.length;
  steps.forEach((step, index) => {
    const button = document.createElement("button"), number = document.createElement("b");
    const image = new Image(), caption = document.createElement("span");
    button.className = "crop";
    button.style.setProperty("--colour", step.colour);
    button.style.setProperty("--on", step.on);
    number.textContent = index + 1;
    image.src = step.crop;
    image.alt = `Crop ${index + 1}`;
    caption.className = "faint";
    caption.textContent = step.caption;
    button.append(image, number, caption);
    button.onclick = () => { if (state.shown <= index) showSteps(index + 1); flyTo(step.box); };
    element("crops").append(button);
  });
  for (const { name, probability, mark } of data.classes) {
    const row = document.createElement("div"), head = document.createElement("div"), track = document.createElement("div");
    const label = document.createElement("span"), percent = document.createElement("span"), bar = document.createElement("i");
    row.className = `class ${mark}`;
    label.textContent = name;
    percent.textContent = `${(100 * probability).toFixed(1)} %`;
    track.className = "track";
    bar.style.width = `${100 * probability}%`;
    head.append(label, percent);
    track.append(bar);
    row.append(head, track);
    element("classes").append(row);
  }
  for (const name of ["heat", "posterior"]) {
    element(`${name}label`).hidden = !data[name];
    if (!data[name]) continue;
    element(`${name}facts`).textContent = data[`${name}Facts`];
    layers[name] = new Image();
    layers[name].onload = requestDraw;
    layers[name].src = data[name];
  }
}

function listen() {
  const pointers = new Map();
  view.onpointerdown = (event) => {
    state.flight += 1;
    view.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    view.classList.add("dragging");
  };
  view.onpointermove = (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.offsetX, event.offsetY];
    const other = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place)[0];
    pointers.set(event.pointerId, now);
    camera.x -= (now[0] - before[0]) / camera.scale / pointers.size;
    camera.y -= (now[1] - before[1]) / camera.scale / pointers.size;
    clampCamera();
    if (other) {
      const distance = (place) => Math.max(Math.hypot(place[0] - other[0], place[1] - other[1]), 1);
      zoomAt(distance(now) / distance(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    requestDraw();
  };
  view.onpointerup = view.onpointercancel = (event) => {
    pointers.delete(event.pointerId);
    view.classList.toggle("dragging", pointers.size > 0);
  };
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    state.flight += 1;
    zoomAt(Math.pow(2, -event.deltaY * (event.deltaMode ? 20 : 1) / 250), event.offsetX, event.offsetY);
  }, { passive: false });
  view.ondblclick = (event) => zoomAt(event.shiftKey ? 0.5 : 2, event.offsetX, event.offsetY);
  element("in").onclick = () => zoomAt(1.6);
  element("out").onclick = () => zoomAt(1 / 1.6);
  element("fit").onclick = () => { state.flight += 1; fit(); };
  element("play").onclick = play;
  element("step").oninput = (event) => showSteps(Number(event.target.value));
  for (const name of ["boxes", "path", "heat", "posterior"]) {
    element(name).onchange = (event) => { state[name] = event.target.checked; requestDraw(); };
  }
  document.onkeydown = (event) => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = 80 / camera.scale;
    const actions = {
      "+": () => zoomAt(1.6), "=": () => zoomAt(1.6), "-": () => zoomAt(1 / 1.6), 0: fit,
      ".": () => showSteps(state.shown + 1), ",": () => showSteps(state.shown - 1),
      ArrowLeft: () => { camera.x -= move; }, ArrowRight: () => { camera.x += move; },
      ArrowUp: () => { camera.y -= move; }, ArrowDown: () => { camera.y += move; },
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    state.flight += 1;
    actions[event.key]();
    clampCamera();
    requestDraw();
  };
  new ResizeObserver(requestDraw).observe(element("stage"));
}

/* #step=2&heat=1&posterior=1&box=1 opens the page at a step, with both heats, at a box: for links. */
function followHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  showSteps(wanted.has("step") ? Number(wanted.get("step")) || 0 : steps.length);
  for (const name of ["heat", "posterior"]) {
    state[name] = Boolean(data[name]) && wanted.get(name) === "1";
    element(name).checked = state[name];
  }
  const step = steps[Number(wanted.get("box")) - 1];
  if (step) {
    const [y0, x0, y1, x1] = step.box;
    Object.assign(camera, { x: (x0 + x1) / 2, y: (y0 + y1) / 2 });
    camera.scale = Math.min(size()[0] / (x1 - x0), size()[1] / (y1 - y0)) * 0.5;
    clampCamera();
    requestDraw();
  }
}

fillSide();
listen();
fit();
followHash();
window.onhashchange = followHash;
