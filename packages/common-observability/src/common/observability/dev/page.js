"use strict";
(() => {
  const every = 2000;
  const root = document.documentElement;
  const state = document.getElementById("state");
  const button = document.getElementById("pause");
  let isPaused = false;

  const tell = (text, kind) => {
    root.dataset.state = kind;
    if (state.textContent !== text) state.textContent = text;
  };

  // What a person has opened or closed stays so, whatever the server says by default.
  const changed = (old) => {
    const own = new Map();
    for (const each of old.querySelectorAll("details[id]")) {
      if (each.open !== each.hasAttribute("data-open")) own.set(each.id, each.open);
    }
    return own;
  };

  const swap = (old, fresh) => {
    for (const [id, open] of changed(old)) {
      const each = fresh.querySelector("#" + CSS.escape(id));
      if (each) each.open = open;
    }
    const holder = old.contains(document.activeElement) ? document.activeElement.closest("[id]") : null;
    old.replaceWith(document.adoptNode(fresh));
    if (holder) {
      const found = document.getElementById(holder.id);
      if (found) (found.querySelector("summary") || found).focus({ preventScroll: true });
    }
  };

  // A list that somebody reads does not move away below the eyes.
  const isRead = (part) => {
    const held = part.id === "traces" && part.querySelector(".trace[open]") !== null;
    part.toggleAttribute("data-held", held);
    return held;
  };

  const show = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    for (const fresh of next.querySelectorAll("[data-live]")) {
      const old = document.getElementById(fresh.id);
      if (old && !isRead(old)) swap(old, fresh);
    }
    document.title = next.title;
  };

  const look = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.status);
      const text = await answer.text();
      if (!isPaused) {
        show(text);
        tell("live", "live");
      }
    } catch {
      if (!isPaused) tell("does not answer", "away");
    }
  };

  const turn = async () => {
    if (!isPaused && !document.hidden && getSelection().isCollapsed) await look();
    setTimeout(turn, every);
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", String(isPaused));
    tell(isPaused ? "paused" : "live", isPaused ? "paused" : "live");
  });
  tell("live", "live");
  setTimeout(turn, every);
})();
