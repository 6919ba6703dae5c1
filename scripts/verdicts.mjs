// A test reporter for scripts/test.mjs: a line for each test that failed, with its file, and for each that was skipped, with why.
export default async function* verdicts(source) {
  for await (const { type, data } of source) {
    if (type === 'test:fail' && data.file !== undefined) yield `failed\t${data.file}\n`;
    if (type === 'test:pass' && data.skip !== undefined && data.skip !== false) yield `skipped\t${data.name}: ${data.skip}\n`;
  }
}
