/** Does one step and says how long it took. What goes wrong bears the step's name. */
export async function step<T>(what: string, act: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const seconds = (): string => `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`;
  try {
    const result = await act();
    console.log(`container-test: ${what} (${seconds()})`);
    return result;
  } catch (error) {
    console.error(`container-test: FAILED after ${seconds()}: ${what}`);
    throw error;
  }
}
