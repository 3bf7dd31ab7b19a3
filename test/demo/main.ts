// The demo: a scripted conversation through the real pipeline, printed as it happens, with times.

import { longAnswer } from '../simulators/bridge/answers.ts';
import { eventually } from '../support/eventually.ts';
import { createStage, type Stage } from './stage.ts';

const USER = `wm-xiaoming-${Date.now().toString(36)}`;
const OTHER = `wm-xiaohong-${Date.now().toString(36)}`;
const QUICK_QUESTIONS = 8;
const LONG_ANSWER_BYTES = 12_000;

/** Each step says what must have been heard; a step that isn't heard fails the demo. */
async function play(stage: Stage): Promise<void> {
  stage.title('不认识的用户先被引导绑定 · an unknown user is told how to bind');
  await stage.says(USER, '你好');
  await stage.hears(USER, /还没有绑定/);

  stage.title('验证码绑定 · a six-digit code binds user and agent');
  await stage.says(USER, await stage.makeCode('demo-lobster', '阿虾'));
  await stage.hears(USER, /绑定成功/);

  stage.title('一问一答 · a question and its answer');
  await stage.says(USER, '今天适合去海边吗?');
  await stage.hears(USER, /正在思考/);
  await stage.hears(USER, /今天适合去海边吗/);

  stage.title('排队 · messages run strictly one after another');
  await stage.says(OTHER, await stage.makeCode('demo-crayfish', '小红虾'));
  await stage.hears(OTHER, /绑定成功/);
  await stage.says(OTHER, '慢 1');
  await eventually('the slow task runs', () => stage.isWorking(OTHER));
  await stage.says(OTHER, '第二个问题');
  await stage.hears(OTHER, /前面还有 1 条/);
  await stage.hears(OTHER, /第二个问题/);

  stage.title('长回答与额度 · a long answer, cut to 2048 bytes a part, within five sends per message');
  await stage.says(USER, `长文 ${LONG_ANSWER_BYTES}`);
  await stage.hears(USER, /回复“继续”查看剩余部分/);
  await stage.says(USER, '继续');
  const lastParagraph =
    longAnswer(LONG_ANSWER_BYTES)
      .match(/【第 \d+ 段】/g)
      ?.at(-1) ?? '';
  await stage.hears(USER, new RegExp(lastParagraph));

  stage.title('再来几问,测一测延迟 · a few more questions, for the figures');
  for (let i = 1; i <= QUICK_QUESTIONS; i++) {
    const user = i % 2 === 0 ? USER : OTHER;
    await stage.says(user, `第${i}个快问`);
    await stage.hears(user, new RegExp(`第${i}个快问`));
  }
}

const stage = await createStage(process.env);
try {
  await play(stage);
  await stage.printFigures();
  const faults = await stage.findFaults([USER, OTHER]);
  for (const fault of faults) stage.print(`✗ ${fault}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} catch (error) {
  stage.print(`✗ ${(error as Error).message}`);
  process.exitCode = 1;
}
