// Refreshes parts of a page every few seconds while the page is visible.
// <div data-refresh="/address/" data-refresh-every="5"> … </div>
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[data-refresh]")) {
    keepFresh(part);
  }
});

function keepFresh(part) {
  const intervalMs = Number(part.dataset.refreshEvery) * 1000;
  const note = document.querySelector("[data-refresh-note]");
  let refreshedAt = new Date();
  let isFetching = false;

  async function refresh() {
    if (document.hidden || isFetching) {
      return;
    }
    isFetching = true;
    try {
      const response = await fetch(part.dataset.refresh, { credentials: "same-origin" });
      if (response.redirected) {
        window.location.reload(); // the session has ended: show the login
        return;
      }
      if (!response.ok) {
        throw new Error(`status ${response.status}`);
      }
      const html = await response.text();
      if (!part.contains(document.activeElement)) {
        part.innerHTML = html; // unless a link in it has the keyboard focus
      }
      refreshedAt = new Date();
      if (note) {
        note.hidden = true;
      }
    } catch {
      if (note) {
        note.querySelector("[data-refresh-since]").textContent = refreshedAt.toLocaleTimeString();
        note.hidden = false;
      }
    } finally {
      isFetching = false;
    }
  }

  window.setInterval(refresh, intervalMs);
  document.addEventListener("visibilitychange", refresh);
}
