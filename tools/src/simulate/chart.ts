import { type SimulationResult } from './simulation.ts';

const WIDTH = 860;
const HEIGHT = 300;
const MARGIN = { top: 46, right: 24, bottom: 44, left: 52 };
const PANEL = { width: WIDTH / 2 - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };

interface Series {
  readonly label: string;
  readonly colour: string;
  readonly values: readonly number[];
}

/** What rest costs, over the number of nodes. Both axes begin at zero, so that linear growth is a straight line. */
export function chartOf(runs: readonly SimulationResult[]): string {
  const nodes = runs.map((run) => run.nodes);
  const panels = [
    panel(0, 'CPU at rest, % of one core', nodes, [
      { label: 'API, controllers and scheduler in one process', colour: '#2563eb', values: runs.map(({ single }) => single.cpuPercent['whole'] ?? 0) },
      { label: 'PostgreSQL', colour: '#94a3b8', values: runs.map(({ single }) => single.cpuPercent['postgres'] ?? 0) },
    ]),
    panel(1, 'Memory at rest, MiB', nodes, [{ label: 'API, controllers and scheduler in one process', colour: '#2563eb', values: runs.map(({ single }) => single.residentMiB['whole'] ?? 0) }]),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#334155">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
${panels.join('\n')}
</svg>
`;
}

function panel(index: number, title: string, nodes: readonly number[], series: readonly Series[]): string {
  const left = index * (WIDTH / 2) + MARGIN.left;
  const most = ceiling(Math.max(...series.flatMap(({ values }) => values)));
  const x = (count: number): number => round(left + (count / Math.max(...nodes)) * PANEL.width);
  const y = (value: number): number => round(MARGIN.top + PANEL.height * (1 - value / most));
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most).map(
    (value) => `<line x1="${left}" x2="${left + PANEL.width}" y1="${y(value)}" y2="${y(value)}" stroke="#e2e8f0"/><text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${round(value)}</text>`,
  );
  const ticks = nodes.map((count) => `<text x="${x(count)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${count}</text>`);
  const lines = series.map(({ label, colour, values }, row) => {
    const points = values.map((value, at) => [x(nodes[at] ?? 0), y(value)] as const);
    const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`).join('');
    const path = `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map((point) => point.join(',')).join(' ')}"/>`;
    return `${path}${dots}<text x="${left + 10}" y="${MARGIN.top + 14 + row * 16}" fill="${colour}">${label}</text>`;
  });
  return [
    `<text x="${left}" y="24" font-size="14" font-weight="600">${title}</text>`,
    ...grid,
    ...ticks,
    `<text x="${left + PANEL.width / 2}" y="${HEIGHT - 8}" text-anchor="middle">nodes, each renewing its Lease every ten seconds</text>`,
    ...lines,
  ].join('\n');
}

/** The next round number: axes end at one. */
function ceiling(value: number): number {
  const step = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return Math.ceil(value / step) * step;
}

const round = (value: number): number => Math.round(value * 10) / 10;
