// Preloaded into a measured process: writes its times and its peak memory when it ends.
import { writeFileSync } from 'node:fs';

const marks = {};
globalThis.factMark = (name) => {
  marks[name] = Math.round(performance.now());
};
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = {
    ...marks,
    end: Math.round(performance.now()),
    cpu: Math.round((userCPUTime + systemCPUTime) / 1000),
    peakMB: Math.round(maxRSS / 1024),
  };
  writeFileSync(process.env.FACT_USAGE, JSON.stringify(usage));
});
