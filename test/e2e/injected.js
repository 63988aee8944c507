/* global window, CustomEvent */
// In the page, before anything of it: a wallet that announces itself (EIP-6963) and passes every request on to the test.
function inject() {
  const listeners = {};
  const provider = {
    on: (name, listener) => (listeners[name] ??= new Set()).add(listener),
    removeListener: (name, listener) => listeners[name]?.delete(listener),
    request: async (request) => {
      const { result, error } = await window.askTestWallet(request);
      if (error) throw Object.assign(new Error(error.message), error);
      return result;
    },
  };
  window.tellTestWallet = (name, value) => listeners[name]?.forEach((listener) => listener(value));

  const detail = Object.freeze({
    info: {
      uuid: "7d7b8b6e-0f7c-4a60-9a39-0b7c1d2a5e11",
      name: "Test wallet",
      rdns: "example.test-wallet",
      icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='4' fill='teal'/></svg>",
    },
    provider,
  });
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
}

// Mocha loads every file under test/, too.
if ("window" in globalThis) inject();
