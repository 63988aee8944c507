import { type ComponentType, type LazyExoticComponent, lazy } from "react";

export interface Screen {
  /** Behind `#/`. */
  path: string;
  name: string;
  component: LazyExoticComponent<ComponentType>;
  /** Only where the chain is one of this machine's. */
  isLocal?: boolean;
}

/** In the order of the navigation; the first is where a reader without a path arrives. */
export const SCREENS: readonly Screen[] = [
  { path: "markets", name: "Markets", component: lazy(() => import("./screens/markets.tsx")) },
  { path: "trade", name: "Trade", component: lazy(() => import("./screens/trade.tsx")) },
  { path: "position", name: "Position", component: lazy(() => import("./screens/position.tsx")) },
  { path: "lend", name: "Lend", component: lazy(() => import("./screens/lend.tsx")) },
  { path: "emergency", name: "Emergency", component: lazy(() => import("./screens/emergency.tsx")) },
  { path: "drill", name: "Drill", component: lazy(() => import("./screens/drill.tsx")), isLocal: true },
];
