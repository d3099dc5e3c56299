"""A member of staff with a browser, and everything that the browser complains of."""

from django.contrib.auth.models import User
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.support.staff_login import PASSWORD, code_of

PATIENCE_MS = 120_000
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

OVERFLOW = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > width + 1)
    .map((each) => each.outerHTML.slice(0, 120));
}
"""

UNLABELLED = """
() => [...document.querySelectorAll("input, select, textarea, button, a[href]")]
  .filter((each) => each.type !== "hidden" && each.checkVisibility())
  .filter((each) => !(
    each.labels?.length || each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")
    || each.title || each.placeholder || each.textContent.trim() || each.value && each.type === "submit"
    || each.querySelector("img[alt]")))
  .map((each) => each.outerHTML.slice(0, 160))
"""

CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, below) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = `rgb(${below.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (each) => {
    const chain = [];
    for (let at = each; at; at = at.parentElement) chain.unshift(getComputedStyle(at).backgroundColor);
    return chain.reduce((below, colour) => over(colour, below), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".state, .flag, .desk-muted, .desk-good, .hint")]
    .filter((each) => each.checkVisibility() && each.textContent.trim())
    .map((each) => {
      const back = behind(each);
      const [high, low] = [luminance(over(getComputedStyle(each).color, back)), luminance(back)]
        .sort((one, other) => other - one);
      return [`${each.className}: ${each.textContent.trim().slice(0, 20)}`, (high + 0.05) / (low + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
}
"""


class Visitor:
    """Goes from page to page, and notes each console error and each violation of a policy."""

    def __init__(self, chromium: Browser, url: str, user: User, app: TOTPDevice) -> None:
        self.url = url
        self.complaints: list[str] = []
        self._user, self._app = user, app
        self._context = chromium.new_context(viewport=WIDE, color_scheme="light")  # type: ignore[arg-type]  # a plain dict
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self._complain(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}", wait_until="load")
        return self.page

    def show_password(self) -> Page:
        page = self.go("/admin/")
        page.get_by_label("Username").fill(self._user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Code").wait_for()
        return page

    def log_in(self) -> Page:
        page = self.show_password()
        page.get_by_label("Code").fill(code_of(self._app))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{self.url}/admin/")
        return page

    def look(self, *, dark: bool, width: dict[str, int]) -> None:
        """Have the page shown with these colours at this width."""
        self.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        self.page.set_viewport_size(width)  # type: ignore[arg-type]  # a plain dict

    def overflowing(self) -> list[str]:
        """What is wider than the window, where the page itself has to be scrolled for it."""
        return list(self.page.evaluate(OVERFLOW))

    def unlabelled(self) -> list[str]:
        return list(self.page.evaluate(UNLABELLED))

    def too_faint(self) -> list[object]:
        """Labels whose contrast is below WCAG 2.2's 4.5 : 1 for text (1.4.3)."""
        return list(self.page.evaluate(CONTRAST))

    def leave(self) -> None:
        self._context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(message.text)

    def _complain(self, what: str) -> None:
        self.complaints.append(f"{self.page.url}: {what}")
