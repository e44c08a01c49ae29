/** Files that are part of the program without being code; importing one gives its path. */
declare module "*/banger-agent" {
  const path: string;
  export default path;
}
