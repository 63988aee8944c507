import { useChain } from "../chain.ts";
import { marketName } from "../format.ts";

export default function Markets() {
  const { snapshot } = useChain();
  return (
    <>
      <h1>Markets</h1>
      <ul>
        {snapshot.markets.map((market) => (
          <li key={market.addresses.id}>{marketName(market)}</li>
        ))}
      </ul>
    </>
  );
}
