import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app.tsx";
import { followChain } from "./chain.ts";
import { applyTheme } from "./parts/theme.tsx";
import "./style.css";

applyTheme();
void followChain();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
