/** A page of docs/ with `content` between `<!-- name -->` and the `<!-- end -->` after it. */
export function withPart(page: string, name: string, content: string): string {
  const mark = `<!-- ${name} -->\n`;
  const start = page.indexOf(mark) + mark.length;
  const end = page.indexOf("<!-- end -->", start);
  if (!page.includes(mark) || end < 0) throw new Error(`the page has no part ${name}`);
  return `${page.slice(0, start)}\n${content}\n\n${page.slice(end)}`;
}
