"use strict";

// Refreshes the page of an order while its run is live and the page is visible.
(() => {
    const content = document.getElementById("order-content");
    const POLL_MS = 2000;
    let timer = null;
    let shown = "";

    const isLive = () => content.querySelector("[data-live]").dataset.live === "1";

    const openDetails = () =>
        [...content.querySelectorAll("details[open][id]")].map((details) => details.id);

    const show = (html) => {
        if (html === shown) return;
        const open = openDetails();
        const focused = content.contains(document.activeElement) ? document.activeElement.id : "";
        content.innerHTML = html;
        for (const id of open) document.getElementById(id)?.setAttribute("open", "");
        if (focused) document.getElementById(focused)?.focus();
        shown = html;
    };

    const poll = async () => {
        timer = null;
        if (document.hidden) return;
        try {
            const response = await fetch(content.dataset.url, { redirect: "error" });
            if (response.ok) {
                show(await response.text());
                if (!isLive()) return;
            } else if (response.status === 403 || response.status === 404) {
                return;
            }
        } catch {
            // The desk did not answer: try again.
        }
        timer = setTimeout(poll, POLL_MS);
    };

    if (!isLive()) return;
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && timer === null && isLive()) poll();
    });
    timer = setTimeout(poll, POLL_MS);
})();
