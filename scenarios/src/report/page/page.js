// Draws the timelines of a page from the data that stand in it. Text of the data gets into the
// document as text nodes and attributes only. Runs that are compared share a group and its view.
"use strict";
(() => {
  const groups = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const NS = "http://www.w3.org/2000/svg", S = 1e9;
  const LEFT = 178, RIGHT = 16, BAR = 18, LANE = 42, STRIP = 18;
  const ARROWS = 260; // as many adverts at most are arrows; more are a density
  const DOTS = 400;

  const el = (parent, name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  };
  const hint = (made, text) => { made.tip = text; return made; };

  // The timeline of a group; returns what its keys do.
  function timeline(place, runs) {
    const side = runs.length > 1 && runs.every((run) => run.fault !== null);
    for (const run of runs) run.zero = side ? run.fault : 0;
    const first = Math.min(...runs.map((run) => -run.zero));
    const last = Math.max(...runs.map((run) => run.end - run.zero), first + 1);
    let view = [first, last], width = 1100;

    // Exact: nanoseconds stay what they are, trailing zeros go.
    const secs = (ns) => {
      const text = (Math.abs(ns) / S).toFixed(9).replace(/\.?0+$/, "");
      return (ns < 0 ? "−" : "") + text + " s";
    };
    const short = (ns) => {
      const s = ns / S;
      if (s >= 600) return (s / 60).toFixed(0) + " min";
      if (s >= 100) return s.toFixed(0) + " s";
      if (s >= 0.1) return Number(s.toPrecision(3)) + " s";
      return s >= 1e-4 ? Number((s * 1e3).toPrecision(3)) + " ms" : Number((s * 1e6).toPrecision(3)) + " µs";
    };
    const clock = (ns, step) => {
      const sign = ns < 0 ? "−" : side && ns > 0 ? "+" : "", s = Math.abs(ns) / S;
      if (step >= 30 * S) {
        const whole = Math.round(s), h = Math.floor(whole / 3600), two = (n) => String(n).padStart(2, "0");
        return sign + (h ? h + ":" + two(Math.floor(whole / 60) % 60) : Math.floor(whole / 60)) + ":" + two(whole % 60);
      }
      const digits = Math.max(0, -Math.floor(Math.log10(step / S) + 1e-9));
      return sign + s.toFixed(digits) + " s";
    };
    const pitch = (range, room) => {
      const least = range / Math.max(room, 1) / S;
      for (const step of [60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]) {
        if (least > 20 && step >= least) return step * S;
      }
      const power = Math.pow(10, Math.floor(Math.log10(least)));
      for (const step of [1, 2, 5, 10, 20, 30]) if (power * step >= least) return power * step * S;
      return power * 50 * S;
    };
    const clipped = (text, room) => {
      const fits = Math.floor(room / 6.6);
      return fits >= text.length ? text : fits < 4 ? "" : text.slice(0, fits - 1) + "…";
    };

    function draw(run, box) {
      const [from, to] = [view[0] + run.zero, view[1] + run.zero];
      const x = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT);
      const seen = (a, b) => b >= from && a <= to;
      const cut = (a) => Math.min(Math.max(x(a), LEFT), width - RIGHT);
      const host = (id) => run.hosts[id] ?? "?";
      const svg = document.createElementNS(NS, "svg");
      svg.setAttribute("tabindex", 0);
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", "timeline, " + run.label + ": the tables of this page say the same");
      const back = el(svg, "g"), body = el(svg, "g"), front = el(svg, "g");
      const rows = new Map(), firstRow = new Map();
      let y = topRows(run, back, front, { x, seen, cut, from, to });
      const top = y;
      const span = (group, a, b, yy, h, attributes, text) => {
        const [l, r] = [cut(a), cut(b)];
        return hint(el(group, "rect", { x: l, y: yy, width: Math.max(r - l, 1.2), height: h, ...attributes }), text);
      };
      const caption = (text, yy, sub) => {
        hint(el(body, "text", { x: 10, y: yy }, clipped(text, LEFT - 18)), text);
        if (sub) el(body, "text", { x: 10, y: yy + 13, class: "dim" }, clipped(sub, LEFT - 18));
      };
      run.routers.forEach((router, r) => {
        const begins = y;
        caption(router, y + 13);
        const stripY = y;
        y += STRIP + 12;
        for (const lane of run.lanes.filter((lane) => lane.router === r)) {
          const g = el(body, "g", { class: "lane", "data-host": host(lane.host), "data-router": router });
          caption(host(lane.host), y + 13);
          el(g, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y + BAR / 2, y2: y + BAR / 2 });
          for (const [a, b, state] of lane.spans) {
            if (!seen(a, b)) continue;
            span(g, a, b, y, BAR, { class: "state-" + state, "data-state": state, "data-from": a, "data-to": b, rx: 2 },
              `${host(lane.host)}: ${state}\n${secs(a)} to ${secs(b)}, ${secs(b - a)}`);
            const text = clipped(state, cut(b) - cut(a) - 10);
            if (text === state) el(g, "text", { x: cut(a) + 5, y: y + 13, class: "in-" + state, "pointer-events": "none" }, text);
          }
          for (const halt of run.halts.filter((halt) => halt.host === lane.host)) {
            for (const [a, b, what] of halt.spans) if (seen(a, b)) {
              span(g, a, b, y - 1, BAR + 2, { class: "halt", "data-halt": what, "data-from": a, "data-to": b },
                `${host(lane.host)}: ${what}\n${secs(a)} to ${secs(b)}, ${secs(b - a)}`);
              const text = clipped(what, cut(b) - cut(a) - 10);
              if (text) el(g, "text", { x: cut(a) + 5, y: y - 5, class: "dim" }, text);
            }
          }
          rows.set(r + "/" + lane.host, y);
          if (!firstRow.has(lane.host)) firstRow.set(lane.host, y);
          y += LANE;
        }
        const ends = y - LANE + BAR + 8;
        intervals(run.intervals.filter((one) => one.router === r), stripY, begins, ends);
      });
      function intervals(found, stripY, begins, ends) {
        const visible = found.filter((one) => seen(one.from, one.to));
        let free = LEFT;
        visible.forEach((one, place) => {
          const [l, r] = [cut(one.from), cut(one.to)];
          if (ends > begins) el(back, "rect", { class: "shade iv-" + one.kind, x: l, width: Math.max(r - l, 0.6), y: begins, height: ends - begins });
          const lasted = one.to - one.from, bounded = one.bound !== null;
          const about = one.hosts.map(host).join(" and ");
          span(front, one.from, one.to, stripY, STRIP - 2, {
            class: "iv iv-" + one.kind + (one.beyond ? " beyond" : ""), "data-kind": one.kind,
            "data-from": one.from, "data-to": one.to, "data-bound": one.bound ?? "",
          }, `${one.text}${about ? ": " + about : ""}\n${secs(one.from)} to ${secs(one.to)}: ${secs(lasted)}\n` +
            (bounded ? `bound ${secs(one.bound)} (${one.property}): ${one.beyond ? "BEYOND" : "within"}` : "no property bounds it"));
          const limit = one.from + one.bound;
          if (bounded && seen(limit, limit)) {
            hint(el(front, "line", { class: "limit", x1: x(limit), x2: x(limit), y1: stripY - 3, y2: stripY + STRIP + 1 }),
              `bound of ${one.property}: ${secs(one.bound)}`);
          }
          const words = short(lasted) + (bounded ? ` of ${short(one.bound)} (${one.property})` : one.kind.endsWith("apart") ? ", cut apart" : "");
          const next = place + 1 < visible.length ? cut(visible[place + 1].from) : width - RIGHT;
          const at = Math.max(r, bounded && seen(limit, limit) ? x(limit) : 0) + 5;
          const wide = words.length * 6.6;
          if (at >= free && at + wide < next) {
            el(front, "text", { x: at, y: stripY + 13, "pointer-events": "none" }, words);
            free = at + wide;
          } else if (r - l > wide + 8 && l >= free - 1) {
            el(front, "text", { x: l + 5, y: stripY + 13, "pointer-events": "none", style: "fill:#111" }, words);
            free = r;
          } else if (r - l > short(lasted).length * 6.6 + 6) {
            el(front, "text", { x: l + 3, y: stripY + 13, "pointer-events": "none", style: "fill:#111" }, short(lasted));
          }
        });
      }
      for (const owner of run.owners) {
        const hosts = [...new Set(owner.spans.map((one) => one[2]))].sort((a, b) => a - b);
        const g = el(body, "g", { class: "owner", "data-address": owner.address });
        const own = run.intervals.filter((one) => one.address === owner.address);
        const begins = y;
        caption(owner.address, y + 13, "owned by");
        if (own.length) { intervals(own, y, 0, 0); y += STRIP + 4; }
        for (const id of hosts) {
          for (const [a, b, by] of owner.spans) if (by === id && seen(a, b)) {
            span(g, a, b, y, 13, { "data-owner": host(by), "data-from": a, "data-to": b, rx: 2, style: `fill:var(--h${by % 7})` },
              `${owner.address} is owned by ${host(by)}\n${secs(a)} to ${secs(b)}, ${secs(b - a)}`);
            const text = clipped(host(by), cut(b) - cut(a) - 10);
            if (text) el(g, "text", { x: cut(a) + 5, y: y + 10.5, style: `fill:var(--t${(by ?? 0) % 7});font-size:10.5px;font-weight:600`, "pointer-events": "none" }, text);
          }
          announced(g, owner.address, id, y + 17);
          y += 22;
        }
        y = Math.max(y, begins + 32) + 6;
      }
      function announced(g, address, id, yy) {
        const near = run.announcements.filter((one) => one[1] === id && one[2] === address && seen(one[0], one[0]));
        let before = -9;
        for (const [at] of near) {
          if (x(at) - before < 3) continue;
          before = x(at);
          hint(el(g, "path", { class: "ann", d: `M${before - 3} ${yy + 3}L${before} ${yy - 2}L${before + 3} ${yy + 3}Z` }),
            `${host(id)} announces ${address} (gratuitous ARP or NA)\n${secs(at)}`);
        }
      }
      for (const client of run.clients) {
        const g = el(body, "g", { class: "client", "data-host": host(client.host) });
        caption(host(client.host), y + 12, "answered by");
        let told = 0;
        for (const [a, b, by] of client.spans) if (seen(a, b)) {
          const who = by === null ? "nobody" : host(by);
          span(g, a, b, y, 13, by === null ? { class: "noans", "data-by": "" } : { style: `fill:var(--h${by % 7})`, "data-by": who },
            `${host(client.host)} is answered by ${who}\n${secs(a)} to ${secs(b)}, ${secs(b - a)}`);
          const text = clipped(who, cut(b) - cut(a) - 10);
          if (text) el(g, "text", { x: cut(a) + 5, y: y + 10.5, style: `fill:var(--t${(by ?? 0) % 7});font-size:10.5px;font-weight:600`, "pointer-events": "none" }, text);
          if (by === null && !text && cut(b) - cut(a) >= 2 && cut(a) > told) {
            const words = short(b - a);
            el(g, "text", { x: cut(a), y: y + 24, class: "dim" }, words);
            told = cut(a) + words.length * 6.6 + 6;
          }
        }
        y += 34;
      }
      const mode = adverts(run, front, { x, seen, rows, host });
      const news = run.news.filter((one) => seen(one[0], one[0]) && firstRow.has(one[1]));
      if (news.length <= DOTS) for (const [at, id, text] of news) {
        hint(el(front, "circle", { class: "news", cx: x(at), cy: firstRow.get(id) + BAR + 5, r: 2.6 }), `${host(id)}: ${text}\n${secs(at)}`);
      }
      axis(back, body, y, top, { x, from, to, run });
      for (const [a, b, text] of run.cuts) if (seen(a, b)) {
        hint(el(back, "rect", { class: "cut", "data-cut": text, "data-from": a, "data-to": b, x: cut(a), width: Math.max(cut(b) - cut(a), 1), y: top - 16, height: y - top + 16 }),
          `cut: ${text}\n${secs(a)} to ${secs(b)}, ${secs(b - a)}`);
        for (const edge of [a, b]) if (seen(edge, edge)) el(back, "line", { class: "cutline", x1: x(edge), x2: x(edge), y1: top - 16, y2: y });
      }
      for (const [at] of run.steps) if (seen(at, at)) el(back, "line", { class: "step", x1: x(at), x2: x(at), y1: top - 4, y2: y });
      const height = y + 26;
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.dataset.mode = mode;
      box.replaceChildren(svg);
      return svg;
    }

    // Steps and cuts are named above the lanes, in as many rows as it takes to read them.
    function topRows(run, back, front, { x, seen, cut }) {
      const labels = run.steps.filter((one) => seen(one[0], one[0])).map(([at, text]) => ({ l: x(at), text, tip: `${text}\n${secs(at)}` }));
      const free = [];
      let most = 0;
      for (const label of labels) {
        const wide = label.text.length * 6.1 + 14, left = Math.min(label.l + 4, width - RIGHT - wide);
        let row = free.findIndex((end) => end < left);
        if (row < 0) row = free.length;
        if (row > 3) continue;
        free[row] = left + wide;
        most = Math.max(most, row + 1);
        hint(el(front, "text", { class: "dim", x: Math.max(left, LEFT), y: 14 + row * 14 }, label.text), label.tip);
      }
      const bands = run.cuts.filter(([a, b]) => seen(a, b));
      let y = 8 + most * 14;
      for (const [a, b, text] of bands) {
        const name = clipped("✂ " + text, cut(b) - cut(a) - 6);
        if (name) el(front, "text", { class: "dim", x: cut(a) + 4, y: y + 12, "pointer-events": "none" }, name);
      }
      return y + 20;
    }

    const decoded = (run, advert) => {
      const [at, sender, router, version, priority, interval, src, dst] = advert;
      return `VRRPv${version} advert, ${run.routers[router] ?? "unknown router"}\n` +
        `${src} → ${dst}, sent by ${run.hosts[sender] ?? "somebody else"} at ${secs(at)}\n` +
        `priority ${priority}${priority === 0 ? " (resigns)" : ""}, interval ${secs(interval)}`;
    };

    function adverts(run, front, { x, seen, rows, host }) {
      const g = el(front, "g", { class: "adverts" });
      const visible = run.adverts.filter((advert) => seen(advert[0], advert[0]));
      const dense = visible.length > ARROWS;
      if (dense) density(run, g, visible, rows, x);
      for (const advert of visible) {
        if (dense && advert[4] !== 0) continue; // who resigns is seen at any zoom
        const [at, sender, router, , priority, , , , ends] = advert;
        const zero = priority === 0 ? " zero" : "";
        const y0 = rows.get(router + "/" + sender);
        const text = decoded(run, advert);
        if (y0 !== undefined && !ends.some(([to]) => rows.has(router + "/" + to))) {
          hint(el(g, "circle", { class: "adhead" + zero, "data-advert": at, cx: x(at), cy: y0 + BAR / 2, r: 2.4 }), text);
        }
        for (const [to, when, lost] of ends) {
          const y1 = rows.get(router + "/" + to);
          if (y1 === undefined) continue;
          const start = y0 === undefined ? y1 - LANE / 2 : y0 + (y1 > y0 ? BAR : 0);
          const stop = y0 === undefined || y1 > y0 ? y1 : y1 + BAR, down = stop > start ? 1 : -1;
          const [a, b] = [x(at), x(when)];
          if (lost) {
            const mx = (a + b) / 2, my = (start + stop) / 2;
            el(g, "path", { class: "way lost", d: `M${a} ${start}L${mx} ${my}` });
            el(g, "path", { class: "lost", "data-lost": lost, d: `M${mx - 4} ${my - 4}l8 8m0 -8l-8 8` });
          } else {
            el(g, "path", { class: "ad" + zero, "data-arrow": at, d: `M${a} ${start}L${b} ${stop}` });
            el(g, "path", { class: "adhead" + zero, d: `M${b} ${stop}l-3 ${-6 * down}h6Z` });
          }
          const fate = lost ? `does not arrive at ${host(to)}: ${lost.replace("_", " ")}` : `arrives at ${host(to)} after ${short(when - at)}`;
          hint(el(g, "path", { class: "hit", d: `M${a} ${start}L${b} ${stop}` }), `${text}\n${fate}`);
        }
      }
      return dense ? "density" : "arrows";
    }

    // Many adverts: under each lane how many it sent, and in red from above how many did not arrive.
    function density(run, g, visible, rows, x) {
      const sent = new Map(), lost = new Map(), step = 4;
      const add = (map, row, at) => {
        if (row === undefined) return;
        const key = row + "/" + Math.floor(x(at) / step);
        map.set(key, (map.get(key) ?? 0) + 1);
      };
      for (const [at, sender, router, , , , , , ends] of visible) {
        add(sent, rows.get(router + "/" + sender), at);
        for (const [to, , why] of ends) if (why) add(lost, rows.get(router + "/" + to), at);
      }
      const most = Math.max(1, ...sent.values());
      for (const [map, name, word] of [[sent, "dens", "adverts sent"], [lost, "denslost", "adverts that did not arrive here"]]) {
        for (const [key, count] of map) {
          const [row, column] = key.split("/").map(Number);
          const h = Math.max(1.5, (count / most) * 12), y = name === "dens" ? row + BAR + 2 : row - 2 - h;
          hint(el(g, "rect", { class: name, "data-count": count, x: column * step, y, width: step - 0.6, height: h }), `${count} ${word}; zoom in to see each`);
        }
      }
    }

    function axis(back, body, y, top, { x, from, to, run }) {
      el(body, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y });
      const step = pitch(to - from, (width - LEFT) / 90);
      for (let at = Math.ceil((from - run.zero) / step) * step; at <= to - run.zero; at += step) {
        const place = x(at + run.zero);
        el(back, "line", { class: "grid", x1: place, x2: place, y1: top, y2: y + 4 });
        el(body, "text", { class: "dim", x: place, y: y + 18, "text-anchor": place > width - 40 ? "end" : "middle" }, clock(at, step));
      }
      if (side) el(body, "text", { class: "dim", x: 10, y: y + 18 }, "from the first step");
    }

    // ---- the view -----------------------------------------------------------------------------
    const [controls, runsBox] = ["controls", "runs"].map((name) => {
      const made = document.createElement("div");
      made.className = name;
      place.append(made);
      return made;
    });
    const boxes = runs.map((run) => {
      const box = document.createElement("div"), head = document.createElement("h3"), inner = document.createElement("div");
      box.className = "run";
      box.dataset.label = run.label;
      head.textContent = run.label;
      if (runs.length > 1) box.append(head);
      box.append(inner);
      runsBox.append(box);
      return inner;
    });
    function redraw() {
      width = Math.max(720, boxes[0]?.clientWidth || 1100);
      const focus = boxes.findIndex((box) => box.contains(document.activeElement));
      runs.forEach((run, place) => {
        const svg = draw(run, boxes[place]);
        if (place === focus) svg.focus({ preventScroll: true });
        document.documentElement.dataset.mode = svg.dataset.mode;
      });
    }
    function show(from, to) {
      const least = 1000, wide = Math.min(Math.max(to - from, least), last - first);
      const begin = Math.min(Math.max(from, first), last - wide);
      view = [begin, begin + wide];
      redraw();
    }
    const zoom = (by, around = (view[0] + view[1]) / 2) => show(around - (around - view[0]) * by, around + (view[1] - around) * by);
    const pan = (by) => show(view[0] + (view[1] - view[0]) * by, view[1] + (view[1] - view[0]) * by);
    const moments = () => {
      const steps = runs.flatMap((run) => run.steps.map((one) => one[0] - run.zero));
      const others = runs.flatMap((run) => run.intervals.map((one) => one.from - run.zero));
      return [...new Set([...steps, ...others])].sort((a, b) => a - b);
    };
    function jump(forward) {
      const middle = (view[0] + view[1]) / 2, all = moments(), slack = (view[1] - view[0]) / 1000;
      const next = forward ? all.find((at) => at > middle + slack) : all.filter((at) => at < middle - slack).pop();
      if (next === undefined) return;
      const half = Math.min(view[1] - view[0], 10 * S) / 2;
      // Near an end the view cannot be centred: it is narrowed until the moment is its middle.
      const room = Math.max(Math.min(half, next - first, last - next), 1e6);
      show(next - room, next + room);
    }
    function fromHash() {
      const found = /^#(-?[\d.]+)\.\.(-?[\d.]+)$/.exec(location.hash);
      if (found) show(Number(found[1]) * S, Number(found[2]) * S);
      return found !== null;
    }
    const keys = {
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), ArrowLeft: () => pan(-0.25),
      ArrowRight: () => pan(0.25), 0: () => show(first, last), Home: () => show(first, last),
      n: () => jump(true), p: () => jump(false),
    };
    for (const [text, key, title] of [["+", "+", "zoom in"], ["−", "-", "zoom out"], ["←", "ArrowLeft", "earlier"],
      ["→", "ArrowRight", "later"], ["all", "0", "the whole run"], ["previous", "p", "the event before"], ["next", "n", "the next event"]]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.title = `${title} (key ${key})`;
      button.addEventListener("click", keys[key]);
      controls.append(button);
    }
    const help = document.createElement("span");
    help.textContent = "keys + − ← → 0, n next event, p previous; drag, Ctrl and wheel; the pointer decodes";
    controls.append(help);

    const timeAt = (event) => {
      const box = runsBox.getBoundingClientRect(), place = (event.clientX - box.left) * (width / box.width);
      return view[0] + ((place - LEFT) / (width - LEFT - RIGHT)) * (view[1] - view[0]);
    };
    runsBox.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 300), timeAt(event));
    }, { passive: false });
    let grip = null;
    runsBox.addEventListener("pointerdown", (event) => { grip = { at: event.clientX, view }; });
    addEventListener("pointerup", () => { grip = null; });
    addEventListener("pointermove", (event) => {
      if (grip && Math.abs(event.clientX - grip.at) > 2) {
        const by = ((grip.at - event.clientX) / (width - LEFT - RIGHT)) * (grip.view[1] - grip.view[0]);
        show(grip.view[0] + by, grip.view[1] + by);
      }
    });
    runsBox.addEventListener("dblclick", (event) => zoom(0.25, timeAt(event)));
    addEventListener("hashchange", fromHash);
    addEventListener("resize", redraw);
    if (!fromHash()) show(...(runs[0].view ?? [first, last]));
    return keys;
  }

  let keys = {}; // of the group that was touched last
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  addEventListener("pointermove", (event) => {
    const text = event.target.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    const below = event.clientY + 16;
    tip.style.top = (below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : below) + "px";
  });

  // Stands once, and where nothing is folded away: a pattern that is not rendered paints nothing.
  function patterns() {
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("style", "position:absolute;width:0;height:0");
    const defs = el(svg, "defs");
    for (const [id, ink, turn] of [["hatch", "var(--fg)", 45], ["apart", "var(--dual)", -45]]) {
      const pattern = el(defs, "pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${turn})` });
      el(pattern, "rect", { width: 6, height: 6, style: "fill:var(--bg)", "fill-opacity": 0.35 });
      el(pattern, "rect", { width: 2.2, height: 6, style: `fill:${ink}`, "fill-opacity": 0.75 });
    }
    document.body.append(svg);
  }
  patterns();

  function legend() {
    const box = document.getElementById("legend");
    const entry = (text, paint) => {
      const span = document.createElement("span"), svg = document.createElementNS(NS, "svg");
      svg.setAttribute("viewBox", "0 0 22 13");
      paint(svg);
      span.append(svg, text);
      box.append(span);
    };
    const rect = (name) => (svg) => el(svg, "rect", { class: name, x: 1, y: 1, width: 20, height: 11 });
    for (const state of ["master", "backup", "init", "fault"]) entry(state, rect("state-" + state));
    if (groups.flat().some((run) => run.lanes.some((lane) => lane.spans.some((one) => one[2] === "running")))) entry("runs, does not speak", rect("state-running"));
    entry("paused, frozen, off, no link", rect("halt"));
    entry("cut", (svg) => { rect("cut")(svg); for (const x of [1, 21]) el(svg, "line", { class: "cutline", x1: x, x2: x, y1: 1, y2: 12 }); });
    entry("no master", rect("iv iv-no-master"));
    entry("two masters or owners", rect("iv iv-two-masters"));
    entry("the same, cut apart", rect("iv iv-masters-apart"));
    entry("bound", (svg) => el(svg, "line", { class: "limit", x1: 11, x2: 11, y1: 0, y2: 13 }));
    entry("advert", (svg) => { el(svg, "path", { class: "ad", d: "M11 0V8" }); el(svg, "path", { class: "adhead", d: "M11 13l-3 -6h6Z" }); });
    entry("resigns (priority 0)", (svg) => { el(svg, "path", { class: "ad zero", d: "M11 0V8" }); el(svg, "path", { class: "adhead zero", d: "M11 13l-3 -6h6Z" }); });
    entry("lost", (svg) => el(svg, "path", { class: "lost", d: "M7 2l8 8m0 -8l-8 8" }));
    entry("many adverts", (svg) => { for (let i = 0; i < 5; i++) el(svg, "rect", { class: "dens", x: 1 + i * 4, y: 3 + (i % 2) * 3, width: 3.4, height: 10 - (i % 2) * 3 }); });
    entry("address announced", (svg) => el(svg, "path", { class: "ann", d: "M8 9L11 4L14 9Z" }));
    entry("no answer", rect("noans"));
  }
  legend();

  // What is folded away is drawn when it is opened.
  const open = [...document.querySelectorAll(".timeline")].map((place, at) => {
    const box = place.closest("details");
    let made = null;
    const touch = () => { keys = made ??= timeline(place, groups[at]); };
    place.addEventListener("pointerdown", touch);
    place.addEventListener("focusin", touch);
    if (!box || box.open) touch();
    box?.addEventListener("toggle", () => { if (box.open) touch(); });
    return { box, touch };
  });
  function toHash() {
    const named = open.find(({ box }) => box && "#" + box.id === location.hash);
    if (!named) return;
    named.box.open = true;
    named.touch();
    named.box.scrollIntoView();
  }
  addEventListener("hashchange", toHash);
  toHash();
  document.documentElement.dataset.ready = "yes";
})();
