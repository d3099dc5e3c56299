"use strict";

// Follows an order while its run is live and somebody looks.
(() => {
    const place = document.getElementById("order-now");
    const EVERY_MS = 2000;
    let timer = null;
    let shown = "";

    const isLive = () => place.querySelector("[data-live]").dataset.live === "1";

    const openParts = () =>
        [...place.querySelectorAll("details[open][id]")].map((each) => each.id);

    const show = (html) => {
        if (html === shown) return;
        const open = openParts();
        const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
        place.innerHTML = html;
        for (const id of open) document.getElementById(id)?.setAttribute("open", "");
        if (focused) document.getElementById(focused)?.focus();
        shown = html;
    };

    const follow = async () => {
        timer = null;
        if (document.hidden) return;
        try {
            const answer = await fetch(place.dataset.address, { redirect: "error" });
            if (answer.ok) {
                show(await answer.text());
                if (!isLive()) return;
            } else if (answer.status === 403 || answer.status === 404) {
                return;
            }
        } catch {
            // Not reached just now: asked again.
        }
        timer = setTimeout(follow, EVERY_MS);
    };

    if (!isLive()) return;
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && timer === null && isLive()) follow();
    });
    timer = setTimeout(follow, EVERY_MS);
})();
