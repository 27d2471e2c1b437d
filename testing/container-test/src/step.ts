/** Runs a step and prints its duration; prints its name if it fails. */
export async function step<T>(name: string, act: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const seconds = (): string => `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`;
  try {
    const result = await act();
    console.log(`container-test: ${name} (${seconds()})`);
    return result;
  } catch (error) {
    console.error(`container-test: FAILED after ${seconds()}: ${name}`);
    throw error;
  }
}
