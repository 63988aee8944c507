import { explainRevert } from "@breakwater/sdk/chain";
import {
  type Desk,
  type OwnerSignature,
  type Proposal,
  Refusal,
  checkSignatures,
  openDesk,
  parseProposal,
  parseSignature,
  toJson,
  verifyProposal,
} from "@breakwater/sdk/desk";
import { useEffect, useState } from "react";

import { type Chain, useChain } from "../../chain.ts";

const desks = new WeakMap<Chain, Promise<Desk>>();

/** Opened once for a chain: what never changes is read once. */
export async function deskOf(chain: Chain): Promise<Desk> {
  const known = desks.get(chain);
  if (known) return known;
  const opened = openDesk(chain.addresses, chain.provider);
  desks.set(chain, opened);
  opened.catch(() => desks.delete(chain));
  return opened;
}

export function wordsOf(error: unknown): string {
  return error instanceof Refusal ? error.message : explainRevert(error).words;
}

// ---------------------------------------------------------------- what lies on the desk

/** A proposal and the signatures that have come in for it. */
export interface Papers {
  proposal?: Proposal;
  signatures: readonly OwnerSignature[];
}

export interface Table extends Papers {
  lay: (proposal: Proposal) => void;
  add: (signature: OwnerSignature) => void;
  /** Texts that other signers passed on, each with one or several of them; throws a Refusal and changes nothing. */
  take: (texts: readonly string[]) => void;
  clear: () => void;
}

const NOTHING: Papers = { signatures: [] };

/** Survives a reload; what comes back is checked like what comes from others. */
export function useTable(): Table {
  const { chain } = useChain();
  const { addresses } = chain;
  const key = `breakwater.desk.${addresses.chainId}.${addresses.contracts["Lens"] ?? ""}`;
  const [papers, setPapers] = useState<Papers>(() => {
    try {
      return taken(NOTHING, [localStorage.getItem(key) ?? ""]);
    } catch {
      return NOTHING;
    }
  });

  useEffect(() => {
    const { proposal, signatures } = papers;
    if (proposal === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, [proposal, ...signatures].map(toJson).join("\n"));
  }, [key, papers]);

  function taken(before: Papers, texts: readonly string[]): Papers {
    const all = texts.flatMap(readAll);
    const proposals = all.filter((each) => kindOf(each) !== "signature").map(parseProposal);
    const signatures = all.filter((each) => kindOf(each) === "signature").map(parseSignature);
    const [proposal = before.proposal, ...others] = proposals;
    if (others.length > 0) throw new Refusal("these are several proposals: open one at a time");
    if (!proposal) {
      if (signatures.length > 0) throw new Refusal("signatures without their proposal: open that first");
      return NOTHING;
    }
    verifyProposal(addresses, proposal);
    const isSame = proposal.hashes.safeTransaction === before.proposal?.hashes.safeTransaction;
    const known = isSame ? before.signatures : [];
    // The same file twice is no second signature, and no mistake.
    const fresh = signatures.filter((each) => !known.some(({ signature }) => signature === each.signature));
    checkSignatures(proposal, [...known, ...fresh]);
    return { proposal, signatures: [...known, ...fresh] };
  }

  return {
    ...papers,
    lay: (proposal) => setPapers({ proposal, signatures: [] }),
    add: (signature) =>
      setPapers(({ signatures, ...rest }) => ({
        ...rest,
        signatures: [...signatures.filter(({ signer }) => signer !== signature.signer), signature],
      })),
    take: (texts) => setPapers(taken(papers, texts)),
    clear: () => setPapers(NOTHING),
  };
}

/** One JSON object, or several beneath each other. */
function readAll(text: string): unknown[] {
  return text
    .trim()
    .split(/(?<=^\})\s*(?=^\{)/m)
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return JSON.parse(part) as unknown;
      } catch {
        throw new Refusal("this is not what a desk passes on: it is not JSON");
      }
    });
}

function kindOf(json: unknown): string {
  const { kind } = (json ?? {}) as { kind?: unknown };
  return typeof kind === "string" && kind.includes("signature") ? "signature" : "proposal";
}

// ---------------------------------------------------------------- passing on

export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(url);
}
