import { NextAnswer } from './next-answer.ts';

describe('NextAnswer', () => {
  it('never answers with what was asked before the question', async () => {
    let asked = 0;
    const answers: PromiseWithResolvers<number>[] = [];
    const question = new NextAnswer(() => {
      asked += 1;
      const answer = Promise.withResolvers<number>();
      answers.push(answer);
      return answer.promise;
    });
    const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

    const first = [question.get(), question.get()];
    await turn();
    expect(asked).toBe(1);
    const second = [question.get(), question.get(), question.get()];
    await turn();
    expect(asked).toBe(1);
    answers[0]?.resolve(1);
    expect(await Promise.all(first)).toEqual([1, 1]);
    await turn();
    expect(asked).toBe(2);
    answers[1]?.resolve(2);
    expect(await Promise.all(second)).toEqual([2, 2, 2]);
  });

  it('asks again after a failure, which only those who waited for it see', async () => {
    let asked = 0;
    const question = new NextAnswer(() => ((asked += 1) === 1 ? Promise.reject(new Error('away')) : Promise.resolve(asked)));
    await expect(question.get()).rejects.toThrow('away');
    expect(await question.get()).toBe(2);
  });
});
