import { useState } from "react";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const CHOSEN = "breakwater.theme";
const NAMES: Record<Theme, string> = { auto: "Auto", light: "Light", dark: "Dark" };

function chosen(): Theme {
  const theme = localStorage.getItem(CHOSEN);
  return THEMES.find((known) => known === theme) ?? "auto";
}

const system = matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", () => applyTheme());

/** First of all: the page must not flash. */
export function applyTheme(theme: Theme = chosen()): void {
  document.documentElement.dataset["theme"] = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
}

export function ThemeChoice() {
  const [theme, setTheme] = useState(chosen);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  return (
    <button
      className="button quiet"
      aria-label={`Colours: ${NAMES[theme]}. Change to ${NAMES[next]}`}
      onClick={() => {
        localStorage.setItem(CHOSEN, next);
        applyTheme(next);
        setTheme(next);
      }}
    >
      <svg aria-hidden width="18" height="18" viewBox="0 0 18 18">
        <circle cx="9" cy="9" r="7.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
        {theme === "auto" && <path d="M9 1.75a7.25 7.25 0 0 1 0 14.5z" fill="currentColor" />}
        {theme === "dark" && <circle cx="9" cy="9" r="7.25" fill="currentColor" />}
      </svg>
      <span className="max-sm:hidden">{NAMES[theme]}</span>
    </button>
  );
}
