// What this process says over HTTP through fetch, counted.

export interface Traffic {
  roundTrips: number; // those that wait for the one before; what is asked at once is one
  calls: number; //      JSON-RPC requests
  sent: number; //       bytes of bodies
  received: number;
}

/** Counts from the last `restart`. */
export function countTraffic() {
  const post = globalThis.fetch;
  let started = 0;
  let sofar: Traffic = nothing();
  let sent: { ms: number; before: Traffic } | undefined;
  let open = 0;
  globalThis.fetch = async (input, init) => {
    const body = typeof init?.body === "string" ? init.body : "";
    if (!sent && body.includes('"eth_sendRawTransaction"')) {
      sent = { ms: performance.now() - started, before: { ...sofar } };
    }
    if (open++ === 0) sofar.roundTrips++;
    sofar.calls += body.split('"jsonrpc"').length - 1;
    sofar.sent += body.length;
    try {
      const response = await post(input, init);
      const text = await response.text();
      sofar.received += text.length;
      return new Response(text, response);
    } finally {
      open--;
    }
  };
  return {
    restart(): void {
      [started, sofar, sent] = [performance.now(), nothing(), undefined];
    },
    sofar: (): Traffic => ({ ...sofar }),
    /** When the first signed transaction left, and what had been asked until then. */
    sent: () => sent,
  };
}

function nothing(): Traffic {
  return { roundTrips: 0, calls: 0, sent: 0, received: 0 };
}
