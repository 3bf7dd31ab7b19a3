// Bench ─▶ docs/performance.svg: three small charts of bars, drawn by hand: no library needed for rectangles.
import type { Results } from './report.ts';

const WIDTH = 760;
const LABEL = 250;
const BAR = 18;
const GAP = 8;
const MARGIN = 20;
/** Room at the right for what a bar says. */
const TEXT = 130;
const PLOT = WIDTH - LABEL - 2 * MARGIN - TEXT;

interface Bar {
  label: string;
  /** Drawn one behind the other, each from zero, so in rising order: p50, p90, p99. */
  values: number[];
  text: string;
}

interface Panel {
  title: string;
  bars: Bar[];
  colours: string[];
}

const BLUES = ['#1b4f8a', '#5b8fc7', '#bcd3ea'];

/** An SVG that reads on light and on dark ground. */
export function drawChart(results: Results): string {
  const panels = [throughput(results), latency(results), cost(results)].filter(({ bars }) => bars.length > 0);
  let y = MARGIN;
  const parts = panels.map((panel) => {
    const drawn = drawPanel(panel, y);
    y += 34 + panel.bars.length * (BAR + GAP) + MARGIN;
    return drawn;
  });
  const style = 'font-family="system-ui, sans-serif" font-size="13"';
  const title = '<title>Turns per second, latency, and CPU per turn</title>';
  const ground = `<rect width="${WIDTH}" height="${y}" fill="#fff"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" ${style}>\n${title}\n${ground}\n${parts.join('\n')}\n</svg>\n`;
}

function drawPanel({ title, bars, colours }: Panel, top: number): string {
  const most = Math.max(...bars.flatMap(({ values }) => values));
  const rows = bars.map(({ label, values, text }, index) => {
    const y = top + 34 + index * (BAR + GAP);
    const middle = y + BAR / 2 + 5;
    const rectangles = values
      .map((value, place) => ({ width: Math.max(1, (value / most) * PLOT), colour: colours[place] ?? '#888' }))
      .toReversed() // the longest first, so that the shorter ones are seen on it
      .map(
        ({ width, colour }) =>
          `<rect x="${MARGIN + LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colour}"/>`,
      );
    const end = MARGIN + LABEL + Math.max(...values.map((value) => (value / most) * PLOT)) + 8;
    return [
      `<text x="${MARGIN + LABEL - 10}" y="${middle}" text-anchor="end" fill="#222">${escapeXml(label)}</text>`,
      ...rectangles,
      `<text x="${end.toFixed(1)}" y="${middle}" fill="#444">${escapeXml(text)}</text>`,
    ].join('\n');
  });
  const heading = `<text x="${MARGIN}" y="${top + 18}" font-weight="bold" fill="#222">${escapeXml(title)}</text>`;
  return [heading, ...rows].join('\n');
}

function throughput({ closed, yardsticks, replicas }: Results): Panel {
  const rates: [string, number | undefined][] = [
    ['the pipeline, closed loop', closed?.turnsPerSecond],
    ...(replicas?.steps ?? []).map((step): [string, number] => [
      `… ${step.replicas} × router and sender`,
      step.turnsPerSecond,
    ]),
    ['yardstick: only HTTP', yardsticks?.httpLoop.turnsPerSecond],
  ];
  const bars = rates.flatMap(([label, rate]) =>
    rate === undefined ? [] : [{ label, values: [rate], text: `${Math.round(rate)}` }],
  );
  return { title: 'Turns per second', bars, colours: BLUES };
}

function latency({ open = [] }: Results): Panel {
  // Polling waits for seconds: on one scale with it nothing else would be seen.
  const rung = open.filter(({ trigger }) => trigger === 'doorbell');
  const bars = rung.flatMap(({ perSecond, hops }) =>
    (['messageToBridge', 'callbackToSend'] as const).map((hop) => {
      const { p50, p90, p99 } = hops[hop];
      const name = hop === 'messageToBridge' ? 'doorbell → bridge' : 'callback → send_msg';
      return {
        label: `${perSecond}/s: ${name}`,
        values: [p50, p90, p99],
        text: [p50, p90, p99].map(Math.round).join(' / '),
      };
    }),
  );
  return { title: 'Latency, ms: p50 / p90 / p99', bars, colours: BLUES };
}

function cost({ closed }: Results): Panel {
  const bars = (closed?.costs ?? []).map(({ name, cpuMsPerTurn }) => ({
    label: name,
    values: [cpuMsPerTurn],
    text: cpuMsPerTurn.toFixed(2),
  }));
  return { title: 'CPU per turn, ms, closed loop', bars, colours: BLUES };
}

const escapeXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
