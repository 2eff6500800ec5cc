/** What a machine showed when it fell asleep, as the files its VM process leaves and its node answers with. */
export const SCREEN_PICTURE = 'screen.png';
export const SCREEN_TEXT = 'screen.txt';
